// The enums of native.h and engine.h under their names, so that Python has no copy of their values.
#include "engine.h"

#define CONSTANT(name)                                                                             \
    {                                                                                              \
#name, name                                                                                \
    }

bool add_constants(PyObject *module)
{
    static const struct {
        const char *name;
        int value;
    } constants[] = {
        CONSTANT(KIND_GIVE_UP),    CONSTANT(KIND_STR),         CONSTANT(KIND_INT),
        CONSTANT(KIND_INT64),      CONSTANT(KIND_FLOAT),       CONSTANT(KIND_OBJECT_ID),
        CONSTANT(KIND_ENUM),       CONSTANT(KIND_UUID),        CONSTANT(KIND_DATETIME),
        CONSTANT(KIND_DICT),       CONSTANT(KIND_SEQUENCE),    CONSTANT(KIND_ITERABLE),
        CONSTANT(KIND_ROOT),       CONSTANT(FIELD_SKIP),       CONSTANT(FIELD_LINK),
        CONSTANT(FIELD_LINKS),     CONSTANT(FIELD_ID),         CONSTANT(NODE_GENERIC),
        CONSTANT(NODE_ANY),        CONSTANT(NODE_STR),         CONSTANT(NODE_INT),
        CONSTANT(NODE_FLOAT),      CONSTANT(NODE_BOOL),        CONSTANT(NODE_EXACT),
        CONSTANT(NODE_OBJECT_ID),  CONSTANT(NODE_LIST),        CONSTANT(NODE_DICT),
        CONSTANT(NODE_MODEL),      CONSTANT(NODE_LITERAL),     CONSTANT(DEFAULT_NONE),
        CONSTANT(DEFAULT_VALUE),   CONSTANT(DEFAULT_COPY),     CONSTANT(DEFAULT_FACTORY),
        CONSTANT(FORM_INSERT),     CONSTANT(FORM_REPLACE),     CONSTANT(FORM_SET),
        CONSTANT(ENGINE_OTHER),    CONSTANT(ENGINE_STR),       CONSTANT(ENGINE_INT),
        CONSTANT(ENGINE_LONG),     CONSTANT(ENGINE_FLOAT),     CONSTANT(ENGINE_BOOL),
        CONSTANT(ENGINE_DATE),     CONSTANT(ENGINE_OBJECT_ID), CONSTANT(ENGINE_BYTES),
        CONSTANT(ENGINE_ENUM),     CONSTANT(ENGINE_UUID),      CONSTANT(ENGINE_EMBEDDED),
        CONSTANT(ENGINE_LIST),     CONSTANT(ENGINE_DICT),      CONSTANT(ENGINE_DYNAMIC),
        CONSTANT(ENGINE_CONVERTS), CONSTANT(ENGINE_SETS),      CONSTANT(ENGINE_GETS),
        CONSTANT(ENGINE_CHECKS),   CONSTANT(ENGINE_STORES),    CONSTANT(ENGINE_KEEPS),
        CONSTANT(ENGINE_MAKES),    CONSTANT(ENGINE_DIRECT),    CONSTANT(ENGINE_VALIDATES),
        CONSTANT(ENGINE_ENCODES),  CONSTANT(ENGINE_READS),     CONSTANT(ENGINE_EMBEDDED_DOCUMENT),
        CONSTANT(ENGINE_INHERITS), CONSTANT(ENGINE_SHOWS),     CONSTANT(ENGINE_TAKES_IDS),
    };
    bool added = true;
    for (size_t i = 0; added && i < sizeof constants / sizeof constants[0]; i++)
        added = PyModule_AddIntConstant(module, constants[i].name, constants[i].value) == 0;
    return added;
}
