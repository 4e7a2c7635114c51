// What read.c offers to batches.c: an instance of one document.
#ifndef MONGOSLUICE_NATIVE_READ_H
#define MONGOSLUICE_NATIVE_READ_H

#include "bytes.h"
#include "native.h"

// Whether the server sent only the fields that the model has, as the model's projection asks for
// them, or the documents as they are stored. Of those the other fields count as not sent.
enum documents { DOCUMENTS_PROJECTED, DOCUMENTS_WHOLE };

// Moves on behind the next document in `bytes`. A function makes an instance of a document's bytes
// where that is given up here. NULL with an exception.
PyObject *read_document(Shape *shape, struct bytes *bytes, enum documents kind,
                        PyObject *otherwise);
// True if one of the documents has a field that the model does not have, or cannot be read.
bool read_finds_others(const Shape *shape, struct bytes bytes);

#endif
