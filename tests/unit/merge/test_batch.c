/* The merged command and its reply: built, split, lost, sent again. */
#include "support.h"

static const char *built(const struct batch *batch, size_t documents)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    assert_true(batch_build(batch, NULL, &payload, &len));
    assert_int_equal(bytes_load_u32(payload), 0);
    assert_int_equal(count_sequence(payload, len), documents);
    const char *json = body_json(payload);
    memory_free(payload);
    return json;
}

static void the_merged_command_has_what_all_have(void **state)
{
    struct fixture *f = *state;
    static const char *const more[] = {
        "\"writeConcern\":{\"w\":\"majority\"},\"comment\":\"x\",\"apiVersion\":\"1\","
        "\"$clusterTime\":{\"clusterTime\":{\"$timestamp\":{\"t\":5,\"i\":2}},\"s\":1}",
        "\"apiVersion\":\"1\",\"writeConcern\":{\"w\":\"majority\"},\"comment\":\"x\","
        "\"$clusterTime\":{\"clusterTime\":{\"$timestamp\":{\"t\":6,\"i\":1}},\"s\":2}",
        "\"writeConcern\":{\"w\":\"majority\"},\"apiVersion\":\"1\",\"comment\":\"x\"",
    };
    struct command command = insert_of(9, 0, 0, more[0]);
    assert_int_equal(submit(f, &command, f), MERGER_GO);
    struct merger_permit *first = f->answer.permit;
    for (int i = 0; i < 3; i++) {
        command = insert_of(i, 0, 0, more[i]);
        assert_int_equal(submit(f, &command, f), MERGER_WAIT);
    }
    command =
        command_of(0,
                   "{\"insert\":\"c\",\"documents\":[{\"_id\":7},{\"_id\":8}],\"ordered\":false,"
                   "\"comment\":\"x\",\"apiVersion\":\"1\",\"writeConcern\":{\"w\":\"majority\"},"
                   "\"$db\":\"test\"}",
                   NULL);
    assert_int_equal(submit(f, &command, f), MERGER_WAIT);
    merger_finished(f->merger, first, f->now_us);
    struct batch *batch = merger_take(f->merger, f->now_us);
    assert_string_equal(
        built(batch, 5),
        "{ \"insert\" : \"c\", \"$db\" : \"test\", \"comment\" : \"x\", \"apiVersion\" : \"1\", "
        "\"writeConcern\" : { \"w\" : \"majority\" }, \"ordered\" : false }");
    batch_lost(f->merger, batch, true, f->now_us);
    batch_end(f->merger, batch, f->now_us);
}

static const struct trace_context batch_context = {
    .trace_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .span_id = {1, 2, 3, 4, 5, 6, 7, 8},
    .sampled = true};
#define BATCH_PARENT "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01"

/* The third of four inserts has a trace context in this carrier. */
static struct batch *traced_batch(struct fixture *f, const char *comment, bool section)
{
    f->rules.ignored = GROUPING_COMMENTS_TRACEPARENT;
    assert_int_equal(submit_id(f, 0, 0, 0), MERGER_GO);
    struct merger_permit *first = f->answer.permit;
    for (int i = 1; i < 4; i++) {
        struct command command = insert_of(i, 0, 0, i == 2 ? comment : "");
        if (i == 2 && section) {
            uint8_t document[TRACE_SECTION_BYTES];
            struct bytes telemetry = trace_section_write(&batch_context, document);
            command.data[command.len++] = WIRE_SECTION_TELEMETRY;
            memcpy(command.data + command.len, telemetry.pos, bytes_left(&telemetry));
            command.len += bytes_left(&telemetry);
        }
        assert_int_equal(submit(f, &command, f), MERGER_WAIT);
    }
    merger_finished(f->merger, first, f->now_us);
    return merger_take(f->merger, f->now_us);
}

static void a_batch_carries_its_own_context(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *comment; /* of an insert */
        bool section;
        const char *own; /* the batch's */
    } cases[] = {
        {"\"comment\":{\"traceparent\":\"" BATCH_PARENT "\",\"tracestate\":\"x=1\"}", false,
         "\"comment\" : { \"traceparent\" : \"" BATCH_PARENT "\" } }"},
        {"\"comment\":\"dddbs='s',traceparent='" BATCH_PARENT "'\"", false,
         "\"comment\" : \"traceparent='" BATCH_PARENT "'\" }"},
        {"", true, "\"ordered\" : false }"},
        {"", false, "\"ordered\" : false }"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *payload = NULL;
        size_t len = 0;
        struct wire_command parsed;
        struct trace_found found;
        struct batch *batch = traced_batch(f, cases[i].comment, cases[i].section);
        assert_true(batch_build(batch, &batch_context, &payload, &len));
        const char *json = body_json(payload);
        assert_non_null(strstr(json, cases[i].own));
        assert_true(wire_command_read_whole(bytes_of(payload, len), &parsed, NULL));
        assert_int_equal(parsed.list_count, 1);
        trace_section_read(parsed.telemetry, &found);
        assert_int_equal(found.carrier,
                         cases[i].section ? TRACE_CARRIER_SECTION : TRACE_CARRIER_NONE);
        if (cases[i].section)
            assert_memory_equal(&found.context, &batch_context, sizeof batch_context);
        memory_free(payload);
        assert_true(batch_build(batch, NULL, &payload, &len)); /* tracing is off */
        assert_null(strstr(body_json(payload), "comment"));
        assert_true(wire_command_read_whole(bytes_of(payload, len), &parsed, NULL));
        assert_int_equal(parsed.section_count, 2);
        memory_free(payload);
        assert_int_equal(batch_documents(batch), 3);
        batch_lost(f->merger, batch, false, f->now_us);
        batch_end(f->merger, batch, f->now_us);
    }
}

static void numbered_ones_get_a_number_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    struct batch *batch = batch_of(f, 2, 2);
    char before[512];
    (void)snprintf(before, sizeof before, "%s", built(batch, 2));
    assert_non_null(strstr(before, "\"txnNumber\" : 1 }"));
    assert_non_null(strstr(before, "\"lsid\" : { \"id\" : { \"$"));
    assert_string_equal(built(batch, 2), before); /* again: the same */
    assert_int_equal(answer(f, batch, "{\"n\":2,\"ok\":1.0}", &answers), BATCH_ANSWERED);
    batch_end(f->merger, batch, f->now_us);
    batch = batch_of(f, 2, 3); /* the same session, the next number */
    assert_non_null(strstr(built(batch, 2), "\"txnNumber\" : 2 }"));
    assert_memory_equal(built(batch, 2), before, strstr(before, "txnNumber") - before);
    batch_lost(f->merger, batch, true, f->now_us);
    batch_end(f->merger, batch, f->now_us);
    batch = batch_of(f, 2, 4); /* that one is retired: another session */
    assert_non_null(strstr(built(batch, 2), "\"txnNumber\" : 1 }"));
    assert_memory_not_equal(built(batch, 2), before, strstr(before, "txnNumber") - before);
    batch_lost(f->merger, batch, false, f->now_us); /* never sent: no need to retire it */
    batch_end(f->merger, batch, f->now_us);
    assert_int_equal(counted(f, MERGER_SESSIONS_MADE), 2);
    assert_int_equal(counted(f, MERGER_SESSIONS_RETIRED), 1);
}

/* Four inserts, of 1, 3, 1 and 1 documents. */
static struct batch *mixed_batch(struct fixture *f, struct merger_waiter **last)
{
    static const char *const lists[] = {"[{\"_id\":1}]", "[{\"_id\":2},{\"_id\":3},{\"_id\":4}]",
                                        "[{\"_id\":5}]", "[{\"_id\":6}]"};
    assert_int_equal(submit_id(f, 0, 0, 0), MERGER_GO);
    struct merger_permit *first = f->answer.permit;
    for (int i = 0; i < 4; i++) {
        struct command command =
            command_of(0, "{\"insert\":\"c\",\"ordered\":false,\"$db\":\"test\"}", lists[i]);
        assert_int_equal(submit(f, &command, (void *)(intptr_t)(i + 1)), MERGER_WAIT);
        *last = f->answer.waiter;
    }
    merger_finished(f->merger, first, f->now_us);
    return merger_take(f->merger, f->now_us);
}

static void inserts_of_one_size_get_equal_replies(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    struct merger_waiter *last = NULL;
    struct batch *batch = mixed_batch(f, &last);
    assert_int_equal(answer(f, batch, "{\"n\":6,\"ok\":1.0,\"operationTime\":9}", &answers),
                     BATCH_ANSWERED);
    batch_end(f->merger, batch, f->now_us);
    for (int i = 1; i <= 4; i++) {
        assert_int_equal(answers.count[i], 1);
        assert_string_equal(answers.json[i],
                            i == 2 ? "{ \"n\" : 3, \"ok\" : 1.0, \"operationTime\" : 9 }"
                                   : "{ \"n\" : 1, \"ok\" : 1.0, \"operationTime\" : 9 }");
    }
}

static void each_gets_its_own_reply(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    struct merger_waiter *last = NULL;
    struct batch *batch = mixed_batch(f, &last);
    merger_leave(f->merger, last, f->now_us);
    assert_int_equal(
        answer(f, batch,
               "{\"n\":3,\"writeErrors\":["
               "{\"index\":4,\"code\":121,\"errInfo\":{\"a\":1},\"errmsg\":\"bad\"},"
               "{\"index\":1,\"code\":11000,\"keyPattern\":{\"_id\":1},\"keyValue\":{\"_id\":2},"
               "\"errmsg\":\"dup\"},"
               "{\"index\":3,\"code\":11000,\"errmsg\":\"\"}],"
               "\"writeConcernError\":{\"code\":64,\"errmsg\":\"late\"},"
               "\"opTime\":{\"t\":1},\"electionId\":7,\"retriedStmtIds\":[0,2],\"ok\":1.0,"
               "\"operationTime\":9}",
               &answers),
        BATCH_ANSWERED);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(answers.count[i], 1);
    assert_int_equal(answers.count[4], 0); /* it left */
#define TAIL                                                                                       \
    "\"writeConcernError\" : { \"code\" : 64, \"errmsg\" : \"late\" }, "                           \
    "\"opTime\" : { \"t\" : 1 }, \"electionId\" : 7, "
    assert_string_equal(answers.json[1], "{ \"n\" : 1, " TAIL "\"retriedStmtIds\" : [ 0 ], "
                                         "\"ok\" : 1.0, \"operationTime\" : 9 }");
    assert_string_equal(
        answers.json[2],
        "{ \"n\" : 1, \"writeErrors\" : [ { \"index\" : 0, \"code\" : 11000, \"keyPattern\" : { "
        "\"_id\" : 1 }, \"keyValue\" : { \"_id\" : 2 }, \"errmsg\" : \"dup\" }, { \"index\" : 2, "
        "\"code\" : 11000, \"errmsg\" : \"\" } ], " TAIL "\"retriedStmtIds\" : [ 1 ], "
        "\"ok\" : 1.0, \"operationTime\" : 9 }");
    assert_string_equal(answers.json[3],
                        "{ \"n\" : 0, \"writeErrors\" : [ { \"index\" : 0, \"code\" : 121, "
                        "\"errInfo\" : { \"a\" : 1 }, \"errmsg\" : \"bad\" } ], " TAIL
                        "\"ok\" : 1.0, \"operationTime\" : 9 }");
    batch_end(f->merger, batch, f->now_us);
}

static void the_servers_types_are_kept(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    struct batch *batch = batch_of(f, 2, 0);
    assert_int_equal(answer(f, batch,
                            "{\"ok\":1,\"n\":{\"$numberLong\":\"1\"},"
                            "\"writeErrors\":[{\"index\":1.0,\"code\":1}]}",
                            &answers),
                     BATCH_ANSWERED);
    batch_end(f->merger, batch, f->now_us);
    assert_string_equal(answers.json[1], "{ \"ok\" : 1, \"n\" : 1 }");
    assert_string_equal(
        answers.json[2],
        "{ \"ok\" : 1, \"n\" : 0, \"writeErrors\" : [ { \"index\" : 0.0, \"code\" : 1 } ] }");
}

static const char *const senseless[] = {
    "{}",
    "{\"ok\":1}",
    "{\"n\":2}",
    "{\"ok\":0.0}",
    "{\"ok\":0.0,\"code\":\"x\"}",
    "{\"ok\":1,\"n\":1}",
    "{\"ok\":1,\"n\":3}",
    "{\"ok\":1,\"n\":-1}",
    "{\"ok\":1,\"n\":\"2\"}",
    "{\"ok\":1,\"n\":2,\"writeErrors\":5}",
    "{\"ok\":1,\"n\":2,\"writeErrors\":[{\"index\":0}]}",
    "{\"ok\":1,\"n\":1,\"writeErrors\":[{}]}",
    "{\"ok\":1,\"n\":1,\"writeErrors\":[5]}",
    "{\"ok\":1,\"n\":1,\"writeErrors\":[{\"index\":2}]}",
    "{\"ok\":1,\"n\":1,\"writeErrors\":[{\"index\":-1}]}",
    "{\"ok\":1,\"n\":1,\"writeErrors\":[{\"index\":0.5}]}",
    "{\"ok\":1,\"n\":0,\"writeErrors\":[{\"index\":1},{\"index\":1}]}",
    "{\"ok\":1,\"n\":-1,\"writeErrors\":[{\"index\":0},{\"index\":1},{\"index\":1}]}",
};

static void senseless_replies_answer_nobody(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    for (size_t i = 0; i < sizeof senseless / sizeof senseless[0]; i++) {
        struct batch *batch = batch_of(f, 2, 0);
        if (answer(f, batch, senseless[i], &answers) != BATCH_UNREADABLE)
            fail_msg("%s was taken", senseless[i]);
        assert_int_equal(answers.count[1] + answers.count[2], 0);
        batch_end(f->merger, batch, f->now_us);
    }
    struct batch *batch = batch_of(f, 2, 0);
    assert_int_equal(
        batch_answer(f->merger, batch, bytes_of("\5\0\0\0", 4), note, &answers, f->now_us),
        BATCH_UNREADABLE);
    batch_end(f->merger, batch, f->now_us);
}

static void what_was_not_run_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    struct batch *batch = batch_of(f, 3, 2);
    assert_int_equal(
        answer(f, batch, "{\"ok\":0.0,\"code\":13,\"codeName\":\"Unauthorized\",\"errmsg\":\"no\"}",
               &answers),
        BATCH_SEND_ALONE);
    assert_int_equal(answers.count[1] + answers.count[2] + answers.count[3], 0);
    struct merger_waiter *waiter = batch_first(batch);
    for (int i = 1; i <= 3; i++, waiter = batch_next(waiter)) {
        struct command own = insert_of(i, i, 2, "");
        struct bytes command = batch_command(waiter);
        assert_int_equal(bytes_left(&command), own.len);
        assert_memory_equal(command.pos, own.data, own.len);
    }
    batch_end(f->merger, batch, f->now_us);
    assert_int_equal(counted(f, MERGER_SENT_ALONE), 3);
    assert_int_equal(counted(f, MERGER_SESSIONS_RETIRED), 0);
    /* it was sent under its client's own number: so is a retry */
    assert_int_equal(submit_id(f, 0, 0, 3), MERGER_GO);
    struct merger_permit *first = f->answer.permit;
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_PASS);
    assert_int_equal(barred(f, GROUPING_BAR_RETRY_OF_DIRECT), 1);
    merger_finished(f->merger, first, f->now_us);
}

#define RETRYABLE                                                                                  \
    "{\"ok\":0.0,\"errmsg\":\"gone\",\"code\":10107,\"codeName\":\"NotWritablePrimary\","          \
    "\"errorLabels\":[\"RetryableWriteError\"]}"

static void an_error_of_all_is_everybodys(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    struct batch *batch = batch_of(f, 2, 2);
    assert_int_equal(answer(f, batch, RETRYABLE, &answers), BATCH_ANSWERED);
    batch_end(f->merger, batch, f->now_us);
    for (int i = 1; i <= 2; i++)
        assert_non_null(strstr(answers.json[i], "\"errorLabels\" : [ \"RetryableWriteError\" ]"));
    /* the client obeys: its retry goes under the batch's number */
    assert_int_equal(submit_id(f, 2, 2, 2), MERGER_RESEND);
    merger_resend_lost(f->merger, f->answer.resend, f->now_us);
    assert_int_equal(counted(f, MERGER_SESSIONS_RETIRED), 1);
}

static void a_lost_batch_may_go_once_more(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    struct batch *batch = batch_of(f, 2, 2);
    char before[512];
    (void)snprintf(before, sizeof before, "%s", built(batch, 2));
    assert_true(batch_may_resend(f->merger, batch, f->now_us));
    assert_string_equal(built(batch, 2), before);
    assert_false(batch_may_resend(f->merger, batch, f->now_us));
    /* refused now, but run before perhaps: it cannot go alone */
    assert_int_equal(answer(f, batch, "{\"ok\":0.0,\"code\":13}", &answers), BATCH_FIND_OUT);
    assert_int_equal(answers.count[1], 0);
    batch_end(f->merger, batch, f->now_us); /* no client has asked; a retry asks */
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_RESEND);
    merger_resend_lost(f->merger, f->answer.resend, f->now_us);
    batch = batch_of(f, 2, 0); /* without numbers never */
    assert_false(batch_may_resend(f->merger, batch, f->now_us));
    batch_lost(f->merger, batch, true, f->now_us);
    batch_end(f->merger, batch, f->now_us);
    assert_int_equal(counted(f, MERGER_BATCHES_RESENT), 1);
    assert_int_equal(counted(f, MERGER_BATCHES_LOST), 1);
}

static void retries_of_a_lost_batch_go_under_its_number(void **state)
{
    struct fixture *f = *state;
    struct batch *batch = batch_of(f, 3, 2);
    char merged[512];
    (void)snprintf(merged, sizeof merged, "%s", built(batch, 3));
    batch_lost(f->merger, batch, true, f->now_us);
    batch_end(f->merger, batch, f->now_us);
    struct command own =
        insert_of(3, 3, 2, "\"apiVersion\":\"1\",\"apiStrict\":true,\"maxTimeMS\":5");
    assert_int_equal(submit(f, &own, f), MERGER_RESEND);
    struct merger_resend *resend = f->answer.resend;
    /* the same insert again while it is under way: it waits */
    assert_int_equal(submit(f, &own, f), MERGER_WAIT_FOR_FIRST);
    struct retry_waiter *retry_waiter = f->answer.retry_waiter;
    uint8_t *payload = NULL;
    size_t len = 0;
    assert_true(merger_resend_payload(resend, &payload, &len));
    assert_int_equal(count_sequence(payload, len), 1);
    char session[200];
    const char *at = strstr(merged, "\"lsid\"");
    (void)snprintf(session, sizeof session, "%.*s", (int)(strchr(at, '}') - at), at);
    const char *sent = body_json(payload);
    assert_non_null(strstr(sent, session));
    assert_non_null(strstr(sent, "\"txnNumber\" : 1, \"stmtIds\" : [ 2 ] }"));
    assert_non_null(strstr(sent, "\"maxTimeMS\" : 5"));
    assert_null(strstr(sent, "apiStrict"));
    memory_free(payload);
    struct asked asked = ask(f, resend, "{\"n\":1,\"retriedStmtIds\":[2],\"ok\":1.0}");
    assert_int_equal(asked.step, RESEND_ANSWER);
    assert_string_equal(asked.json, "{ \"n\" : 1, \"retriedStmtIds\" : [ 0 ], \"ok\" : 1.0 }");
    assert_int_equal(f->told, 1);
    assert_int_equal(f->result, RETRY_RESULT_REPLY);
    assert_string_equal(f->reply, "{ \"n\" : 1, \"retriedStmtIds\" : [ 0 ], \"ok\" : 1.0 }");
    retry_stop_waiting(retry_waiter);
    assert_int_equal(submit_id(f, 3, 3, 2), MERGER_REPLAY);
    assert_string_equal(document_json(f->answer.reply),
                        "{ \"n\" : 1, \"retriedStmtIds\" : [ 0 ], \"ok\" : 1.0 }");
    memory_free((void *)(uintptr_t)f->answer.reply.pos);
}

/* The connection that carries it may be dead without anybody having said so. */
static void who_leaves_what_is_stalled_for_long_is_let_go(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    f->rules.stalled_after_us = 1000;
    struct batch *batch = batch_of(f, 3, 2);
    merger_leave(f->merger, batch_first(batch), f->now_us);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT_FOR_FIRST);
    struct retry_waiter *retry_waiter = f->answer.retry_waiter;
    f->now_us += 9999;
    batch_let_go(f->merger, batch, f->now_us);
    assert_int_equal(f->told, 0); /* a server may be slow */
    f->now_us++;
    batch_let_go(f->merger, batch, f->now_us);
    batch_let_go(f->merger, batch, f->now_us);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->result, RETRY_RESULT_AGAIN);
    retry_stop_waiting(retry_waiter);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_RESEND);
    struct merger_resend *resend = f->answer.resend;
    /* whose connected clients wait for its answer */
    assert_int_equal(submit_id(f, 2, 2, 2), MERGER_WAIT_FOR_FIRST);
    retry_waiter = f->answer.retry_waiter;
    assert_int_equal(answer(f, batch, "{\"n\":3,\"ok\":1.0}", &answers), BATCH_ANSWERED);
    batch_end(f->merger, batch, f->now_us);
    assert_int_equal(answers.count[1], 0);
    assert_int_equal(answers.count[2], 1);
    assert_int_equal(answers.count[3], 1);
    assert_int_equal(f->result, RETRY_RESULT_REPLY);
    retry_stop_waiting(retry_waiter);
    assert_int_equal(counted(f, MERGER_SESSIONS_RETIRED), 1); /* its number is needed further */
    struct asked asked = ask(f, resend, "{\"n\":1,\"retriedStmtIds\":[0],\"ok\":1.0}");
    assert_int_equal(asked.step, RESEND_ANSWER);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_REPLAY);
    memory_free((void *)(uintptr_t)f->answer.reply.pos);
}

static void a_retry_meets_its_first_try_wherever_it_is(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    know(f, 0);
    know(f, 1);
    know(f, 2);
    assert_int_equal(submit_id(f, 0, 0, 2), MERGER_GO);
    struct merger_permit *first = f->answer.permit;
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT);
    struct merger_waiter *waiter = f->answer.waiter;
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT_FOR_FIRST); /* while it waits */
    struct retry_waiter *retry_waiter = f->answer.retry_waiter;
    merger_leave(f->merger, waiter, f->now_us);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->result, RETRY_RESULT_AGAIN);
    retry_stop_waiting(retry_waiter);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT); /* as good as new */
    waiter = f->answer.waiter;
    assert_int_equal(submit_id(f, 2, 2, 2), MERGER_WAIT);
    merger_finished(f->merger, first, f->now_us);
    struct batch *batch = merger_take(f->merger, f->now_us);
    merger_leave(f->merger, waiter, f->now_us);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT_FOR_FIRST); /* on its way */
    retry_waiter = f->answer.retry_waiter;
    assert_int_equal(answer(f, batch, "{\"n\":2,\"ok\":1.0}", &answers), BATCH_ANSWERED);
    batch_end(f->merger, batch, f->now_us);
    assert_int_equal(answers.count[1], 0);
    assert_int_equal(answers.count[2], 1);
    assert_int_equal(f->told, 2);
    assert_string_equal(f->reply, "{ \"n\" : 1, \"ok\" : 1.0 }");
    retry_stop_waiting(retry_waiter);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_REPLAY); /* answered */
    memory_free((void *)(uintptr_t)f->answer.reply.pos);
    /* also with another deadline, and with merging off */
    struct command late = insert_of(1, 1, 2, "\"maxTimeMS\":77");
    f->rules.enabled = false;
    assert_int_equal(submit(f, &late, f), MERGER_REPLAY);
    memory_free((void *)(uintptr_t)f->answer.reply.pos);
    assert_int_equal(submit_id(f, 1, 1, 1), MERGER_TOO_OLD);
}

static void a_session_that_is_not_known_goes_as_it_came(void **state)
{
    struct fixture *f = *state;
    know(f, 0);
    assert_int_equal(submit_id(f, 0, 0, 2), MERGER_GO);
    struct merger_permit *first = f->answer.permit;
    assert_int_equal(submit_id(f, 5, 5, 7), MERGER_PASS);
    assert_int_equal(barred(f, GROUPING_BAR_SESSION_UNKNOWN), 1);
    assert_int_equal(submit_id(f, 5, 5, 7), MERGER_PASS); /* its retry */
    assert_int_equal(barred(f, GROUPING_BAR_RETRY_OF_DIRECT), 1);
    assert_int_equal(submit_id(f, 5, 5, 8), MERGER_WAIT);
    merger_leave(f->merger, f->answer.waiter, f->now_us);
    /* an insert that passes for another reason counts as direct too, if its session is known */
    struct command barred_one = insert_of(5, 5, 9, "\"maxTimeMS\":77");
    assert_int_equal(submit(f, &barred_one, f), MERGER_PASS);
    assert_int_equal(submit_id(f, 5, 5, 9), MERGER_PASS);
    uint8_t lsid[16];
    lsid_of(5, lsid);
    merger_note_passed(f->merger, &f->origin, lsid, 10, f->now_us);
    assert_int_equal(submit_id(f, 5, 5, 10), MERGER_PASS);
    assert_int_equal(submit_id(f, 5, 5, 11), MERGER_WAIT);
    merger_leave(f->merger, f->answer.waiter, f->now_us);
    merger_finished(f->merger, first, f->now_us);
}

static void a_batch_of_one_goes_under_its_own_number(void **state)
{
    struct fixture *f = *state;
    struct bytes command;
    struct batch *batch = batch_of(f, 1, 2);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT_FOR_FIRST);
    struct retry_waiter *retry_waiter = f->answer.retry_waiter;
    struct merger_permit *permit = batch_go_lone(f->merger, batch, f->now_us, &command);
    struct command own = insert_of(1, 1, 2, "");
    assert_int_equal(bytes_left(&command), own.len);
    assert_memory_equal(command.pos, own.data, own.len);
    assert_int_equal(f->result, RETRY_RESULT_AGAIN);
    retry_stop_waiting(retry_waiter);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_PASS);
    merger_finished(f->merger, permit, f->now_us);
    assert_int_equal(counted(f, MERGER_SESSIONS_MADE), 0);
}

static void write_concern_errors_ask_for_retries_or_not(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    static const struct {
        const char *reply;
        enum merger_outcome retry;
    } errors[] = {
        {"{\"n\":2,\"writeConcernError\":{\"code\":64},\"ok\":1}", MERGER_REPLAY},
        {"{\"n\":2,\"writeConcernError\":{\"code\":91},\"ok\":1}", MERGER_RESEND},
        {"{\"n\":2,\"writeConcernError\":{\"code\":1,\"errorLabels\":[\"RetryableWriteError\"]},"
         "\"ok\":1}",
         MERGER_RESEND},
        {"{\"n\":2,\"ok\":1,\"errorLabels\":[\"A\",\"RetryableWriteError\"]}", MERGER_RESEND},
        {"{\"n\":2,\"ok\":1,\"errorLabels\":[\"NoWritesPerformed\"]}", MERGER_REPLAY},
        {"{\"ok\":0,\"code\":11602}", MERGER_RESEND},
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct batch *batch = batch_of(f, 2, 2 + (int64_t)i);
        assert_int_equal(answer(f, batch, errors[i].reply, &answers), BATCH_ANSWERED);
        batch_end(f->merger, batch, f->now_us);
        enum merger_outcome outcome = submit_id(f, 1, 1, 2 + (int64_t)i);
        if (outcome != errors[i].retry)
            fail_msg("%s: %d", errors[i].reply, outcome);
        if (outcome == MERGER_REPLAY)
            memory_free((void *)(uintptr_t)f->answer.reply.pos);
        else
            merger_resend_lost(f->merger, f->answer.resend, f->now_us);
    }
}

/* Runs all of the above in a row, with the i-th allocation failing for every i: whatever fails,
 * each waiter receives one answer or the order to close, and all ends. */
static bool scene(struct fixture *f)
{
    struct answers answers = {0};
    bool whole = true;
    for (int i = 0; i < 4; i++) {
        struct retry_answer known;
        struct retry_request request = {.number = 1, .what = 1, .want = RETRY_WANT_DIRECT};
        memcpy(request.key.identity, f->identity, sizeof request.key.identity);
        lsid_of(i, request.key.lsid);
        (void)retry_table_begin(f->retries, &request, &known);
    }
    whole = submit_id(f, 0, 0, 2) == MERGER_GO;
    struct merger_permit *first = f->answer.permit;
    int waiting = 0;
    for (int i = 1; whole && i < 4; i++) {
        enum merger_outcome outcome = submit_id(f, i, i, 2);
        assert_true(outcome == MERGER_WAIT || outcome == MERGER_PASS);
        waiting += outcome == MERGER_WAIT;
    }
    enum merger_outcome again = whole ? submit_id(f, 1, 1, 2) : MERGER_PASS;
    struct retry_waiter *retry_waiter = f->answer.retry_waiter;
    if (first != NULL)
        merger_finished(f->merger, first, f->now_us);
    for (struct batch *batch; (batch = merger_take(f->merger, f->now_us)) != NULL;) {
        size_t inserts = batch_inserts(batch);
        waiting -= (int)inserts;
        if (inserts == 1) {
            struct bytes command;
            merger_finished(f->merger, batch_go_lone(f->merger, batch, f->now_us, &command),
                            f->now_us);
            whole = false;
            continue;
        }
        uint8_t *payload = NULL;
        size_t len = 0;
        bool built_it = batch_build(batch, NULL, &payload, &len);
        whole = whole && built_it;
        memory_free(payload);
        char reply[] = "\x1d\0\0\0\x10n\0\3\0\0\0\1ok\0\0\0\0\0\0\0\xf0?\x08z\0\0\0";
        reply[0] = sizeof reply - 1;
        bytes_store_i32((uint8_t *)reply + 7, (int32_t)inserts);
        enum batch_verdict verdict = batch_answer(
            f->merger, batch, bytes_of(reply, sizeof reply - 1), note, &answers, f->now_us);
        assert_int_equal(verdict, BATCH_ANSWERED);
        for (struct merger_waiter *w = batch_first(batch); w != NULL; w = batch_next(w)) {
            size_t id = (size_t)(intptr_t)batch_waiter(w);
            assert_int_equal(answers.count[id], 1);
            whole = whole && strcmp(answers.json[id], "none") != 0;
        }
        batch_end(f->merger, batch, f->now_us);
    }
    assert_int_equal(waiting, 0);
    if (again == MERGER_WAIT_FOR_FIRST) {
        assert_int_equal(f->told, 1);
        retry_stop_waiting(retry_waiter);
    }
    whole = whole && again == MERGER_WAIT_FOR_FIRST;
    enum merger_outcome replay = whole ? submit_id(f, 1, 1, 2) : MERGER_PASS;
    if (replay == MERGER_REPLAY)
        memory_free((void *)(uintptr_t)f->answer.reply.pos);
    if (replay == MERGER_RESEND) /* the table could not keep its reply */
        merger_resend_lost(f->merger, f->answer.resend, f->now_us);
    return whole && replay == MERGER_REPLAY;
}

static void any_allocation_may_fail(void **state)
{
    bool whole = false;
    for (long i = 1; !whole; i++) {
        assert_in_range(i, 1, 1000);
        assert_int_equal(fixture_make(state), 0);
        memory_fail_after(i);
        whole = scene(*state);
        memory_fail_never();
        (void)fixture_end(state);
    }
    for (long i = 1; i < 4; i++) {
        memory_fail_after(i);
        struct merger *merger = merger_create(NULL, NULL);
        struct retry_table *table = retry_table_create(1000);
        memory_fail_never();
        merger_destroy(merger);
        retry_table_destroy(table);
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, fixture_make, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_batch_carries_its_own_context),
        WITH(the_merged_command_has_what_all_have),
        WITH(numbered_ones_get_a_number_of_their_own),
        WITH(each_gets_its_own_reply),
        WITH(inserts_of_one_size_get_equal_replies),
        WITH(the_servers_types_are_kept),
        WITH(senseless_replies_answer_nobody),
        WITH(what_was_not_run_goes_alone),
        WITH(an_error_of_all_is_everybodys),
        WITH(a_lost_batch_may_go_once_more),
        WITH(retries_of_a_lost_batch_go_under_its_number),
        WITH(who_leaves_what_is_stalled_for_long_is_let_go),
        WITH(a_retry_meets_its_first_try_wherever_it_is),
        WITH(a_session_that_is_not_known_goes_as_it_came),
        WITH(a_batch_of_one_goes_under_its_own_number),
        WITH(write_concern_errors_ask_for_retries_or_not),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
