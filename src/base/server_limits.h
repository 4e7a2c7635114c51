/* The limits that MongoDB's servers have built in, as their hello replies name them, and the
 * longest namespace (MongoDB's manual, "MongoDB Limits and Thresholds"). */
#ifndef SLUICE_BASE_SERVER_LIMITS_H
#define SLUICE_BASE_SERVER_LIMITS_H

#define SERVER_DOCUMENT_BYTES  16777216 /* maxBsonObjectSize */
#define SERVER_MESSAGE_BYTES   48000000 /* maxMessageSizeBytes */
#define SERVER_BATCH_DOCUMENTS 100000   /* maxWriteBatchSize */
#define SERVER_NAMESPACE_BYTES 255      /* in UTF-8, the dot included */

#define SERVER_LIMIT_TEXT_OF(limit) #limit
#define SERVER_LIMIT_TEXT(limit)    SERVER_LIMIT_TEXT_OF(limit)

#endif
