/* The open questions after a batch's answer: which clients believe it, and how the merger asks for
 * each document. */
#include "support.h"

static void take_and_lose(struct fixture *f, struct merger_waiter *waiter)
{
    struct merger_resend *resend = batch_take_resend(waiter);
    assert_non_null(resend);
    merger_resend_lost(f->merger, resend, f->now_us);
}

static const struct {
    const char *reply;
    enum batch_verdict first, again;
    enum merger_outcome retry; /* of a retry after the answer to the first sending */
} replies[] = {
    /* everything is stored */
    {"{\"n\":4,\"ok\":1}", BATCH_ANSWERED, BATCH_ANSWERED, MERGER_REPLAY},
    {"{\"n\":4,\"writeConcernError\":{\"code\":64},\"ok\":1}", BATCH_ANSWERED, BATCH_ANSWERED,
     MERGER_REPLAY},
    {"{\"n\":4,\"writeConcernError\":{\"code\":91},\"ok\":1}", BATCH_ANSWERED, BATCH_ANSWERED,
     MERGER_RESEND},
    {"{\"n\":4,\"retriedStmtIds\":[0,1,2,3],\"ok\":1}", BATCH_ANSWERED, BATCH_ANSWERED,
     MERGER_REPLAY},
    /* not everything: where, only the first answer says */
    {"{\"n\":2,\"writeErrors\":[{\"index\":1,\"code\":11000},{\"index\":3,\"code\":11000}],"
     "\"ok\":1}",
     BATCH_ANSWERED, BATCH_FIND_OUT, MERGER_REPLAY},
    {"{\"n\":2,\"writeErrors\":[{\"index\":2,\"code\":11000},{\"index\":3,\"code\":11000}],"
     "\"ok\":1}",
     BATCH_ANSWERED, BATCH_FIND_OUT, MERGER_REPLAY},
    {"{\"n\":3,\"writeErrors\":[{\"index\":0,\"code\":11000}],\"writeConcernError\":{\"code\":64},"
     "\"ok\":1}",
     BATCH_ANSWERED, BATCH_FIND_OUT, MERGER_REPLAY},
    {"{\"n\":2,\"ok\":1}", BATCH_UNREADABLE, BATCH_FIND_OUT, MERGER_RESEND},
    {"{\"n\":0,\"ok\":1}", BATCH_UNREADABLE, BATCH_FIND_OUT, MERGER_RESEND},
    {"{\"x\":1}", BATCH_UNREADABLE, BATCH_FIND_OUT, MERGER_RESEND},
    /* none was run */
    {"{\"ok\":0,\"code\":2}", BATCH_SEND_ALONE, BATCH_FIND_OUT, MERGER_PASS},
    {"{\"ok\":0,\"code\":13}", BATCH_SEND_ALONE, BATCH_FIND_OUT, MERGER_PASS},
    {"{\"ok\":0,\"code\":206}", BATCH_SEND_ALONE, BATCH_FIND_OUT, MERGER_PASS},
    {"{\"ok\":0,\"code\":211}", BATCH_SEND_ALONE, BATCH_FIND_OUT, MERGER_PASS},
    {"{\"ok\":0,\"code\":462,\"errorLabels\":[\"SystemOverloadedError\",\"RetryableError\"]}",
     BATCH_ANSWERED, BATCH_FIND_OUT, MERGER_RESEND},
    {"{\"ok\":0,\"code\":40415}", BATCH_SEND_ALONE, BATCH_FIND_OUT, MERGER_PASS},
    /* some may have been run */
    {"{\"ok\":0,\"code\":8}", BATCH_FIND_OUT, BATCH_FIND_OUT, MERGER_RESEND},
    {"{\"ok\":0,\"code\":50}", BATCH_FIND_OUT, BATCH_FIND_OUT, MERGER_RESEND},
    {"{\"ok\":0,\"code\":130}", BATCH_FIND_OUT, BATCH_FIND_OUT, MERGER_RESEND},
    {"{\"ok\":0,\"code\":202}", BATCH_FIND_OUT, BATCH_FIND_OUT, MERGER_RESEND},
    {"{\"ok\":0,\"code\":11601}", BATCH_FIND_OUT, BATCH_FIND_OUT, MERGER_RESEND},
    {"{\"ok\":0,\"code\":123456}", BATCH_FIND_OUT, BATCH_FIND_OUT, MERGER_RESEND},
    /* the client must find out itself */
    {"{\"ok\":0,\"code\":10107}", BATCH_ANSWERED, BATCH_ANSWERED, MERGER_RESEND},
    {"{\"ok\":0,\"code\":8,\"errorLabels\":[\"RetryableWriteError\"]}", BATCH_ANSWERED,
     BATCH_ANSWERED, MERGER_RESEND},
};

static void only_that_all_is_stored_is_believed_the_second_time(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    for (size_t i = 0; i < 2 * sizeof replies / sizeof replies[0]; i++) {
        bool again = i % 2 == 1;
        enum batch_verdict expected = again ? replies[i / 2].again : replies[i / 2].first;
        struct batch *batch = batch_of(f, 4, 2 + (int64_t)i);
        if (again)
            assert_true(batch_may_resend(f->merger, batch, f->now_us));
        enum batch_verdict verdict = answer(f, batch, replies[i / 2].reply, &answers);
        if (verdict != expected)
            fail_msg("%s, %d: %d", replies[i / 2].reply, again, verdict);
        for (int at = 1; at <= 4; at++)
            assert_int_equal(answers.count[at], verdict == BATCH_ANSWERED);
        if (verdict == BATCH_FIND_OUT)
            take_and_lose(f, batch_first(batch));
        batch_end(f->merger, batch, f->now_us);
        enum merger_outcome outcome = submit_id(f, 1, 1, 2 + (int64_t)i);
        if (outcome == MERGER_GO) /* unchanged */
            merger_finished(f->merger, f->answer.permit, f->now_us);
        else if (outcome == MERGER_REPLAY)
            memory_free((void *)(uintptr_t)f->answer.reply.pos);
        else if (outcome == MERGER_RESEND)
            merger_resend_lost(f->merger, f->answer.resend, f->now_us);
        if (!again && outcome != replies[i / 2].retry &&
            (outcome != MERGER_GO || replies[i / 2].retry != MERGER_PASS))
            fail_msg("%s: %d", replies[i / 2].reply, outcome);
        if (again && verdict == BATCH_FIND_OUT)
            assert_int_equal(outcome, MERGER_RESEND);
    }
}

static void without_numbers_nobody_can_find_out(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    struct batch *batch = batch_of(f, 2, 0);
    assert_int_equal(answer(f, batch, "{\"ok\":0,\"code\":8}", &answers), BATCH_UNCERTAIN);
    assert_int_equal(answers.count[1] + answers.count[2], 0);
    batch_end(f->merger, batch, f->now_us);
    batch = batch_of(f, 2, 0);
    assert_int_equal(answer(f, batch, "{\"ok\":0,\"code\":13}", &answers), BATCH_SEND_ALONE);
    batch_end(f->merger, batch, f->now_us);
    assert_int_equal(counted(f, MERGER_BATCHES_UNCERTAIN), 1);
}

/* The batch of 1, 2 and 3, sent again, answered so that nothing can be believed. */
static struct batch *left_open(struct fixture *f, const char *reply)
{
    struct answers answers;
    struct batch *batch = batch_of(f, 3, 2);
    assert_true(batch_may_resend(f->merger, batch, f->now_us));
    assert_int_equal(answer(f, batch, reply, &answers), BATCH_FIND_OUT);
    return batch;
}

static void assert_asks(const struct merger_resend *resend, int id, int statement)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    char expected[64];
    assert_true(merger_resend_payload(resend, &payload, &len));
    assert_int_equal(count_sequence(payload, len), 1);
    (void)snprintf(expected, sizeof expected, "\"txnNumber\" : 1, \"stmtIds\" : [ %d ] }",
                   statement);
    if (strstr(body_json(payload), expected) == NULL)
        fail_msg("%s", body_json(payload));
    assert_int_equal(bytes_load_u32(payload + len - 5), id); /* {_id: id} */
    memory_free(payload);
}

static void each_asks_for_its_own(void **state)
{
    struct fixture *f = *state;
    struct batch *batch = left_open(f, "{\"n\":2,\"ok\":1}");
    assert_int_equal(counted(f, MERGER_FOUND_OUT), 3);
    assert_int_equal(counted(f, MERGER_SESSIONS_RETIRED), 1); /* its number is needed */
    struct merger_resend *resends[4] = {NULL};
    struct merger_waiter *waiter = batch_first(batch);
    for (int i = 1; i <= 3; i++, waiter = batch_next(waiter)) {
        resends[i] = batch_take_resend(waiter);
        assert_null(batch_take_resend(waiter));
    }
    batch_end(f->merger, batch, f->now_us);
    assert_asks(resends[3], 3, 2);
    assert_asks(resends[1], 1, 0);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT_FOR_FIRST);
    struct retry_waiter *retry_waiter = f->answer.retry_waiter;
    struct asked asked = ask(f, resends[1], "{\"n\":1,\"ok\":1.0}");
    assert_int_equal(asked.step, RESEND_ANSWER);
    assert_string_equal(asked.json, "{ \"n\" : 1, \"ok\" : 1.0 }");
    assert_string_equal(f->reply, asked.json);
    retry_stop_waiting(retry_waiter);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_REPLAY);
    memory_free((void *)(uintptr_t)f->answer.reply.pos);
    asked =
        ask(f, resends[2], "{\"n\":0,\"writeErrors\":[{\"index\":0,\"code\":11000}],\"ok\":1.0}");
    assert_int_equal(asked.step, RESEND_ANSWER);
    assert_string_equal(asked.json, "{ \"n\" : 0, \"writeErrors\" : [ { \"index\" : 0, \"code\" : "
                                    "11000 } ], \"ok\" : 1.0 }");
    merger_resend_lost(f->merger, resends[3], f->now_us);
    assert_int_equal(submit_id(f, 3, 3, 2), MERGER_RESEND);
    assert_asks(f->answer.resend, 3, 2);
    merger_resend_lost(f->merger, f->answer.resend, f->now_us);
    assert_int_equal(merger_held_bytes(f->merger), 0);
}

static void who_left_is_not_asked_for(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    struct batch *batch = batch_of(f, 3, 2);
    assert_true(batch_may_resend(f->merger, batch, f->now_us));
    merger_leave(f->merger, batch_first(batch), f->now_us);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT_FOR_FIRST); /* on another connection */
    struct retry_waiter *retry_waiter = f->answer.retry_waiter;
    assert_int_equal(answer(f, batch, "{\"n\":2,\"ok\":1}", &answers), BATCH_FIND_OUT);
    assert_null(batch_take_resend(batch_first(batch)));
    assert_int_equal(f->told, 1);
    assert_int_equal(f->result, RETRY_RESULT_AGAIN);
    retry_stop_waiting(retry_waiter);
    batch_end(f->merger, batch, f->now_us);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_RESEND);
    assert_asks(f->answer.resend, 1, 0);
    merger_resend_lost(f->merger, f->answer.resend, f->now_us);
}

/* ok:0 is passed on if it claims no more than is known. */
static void what_failed_is_told_as_it_is(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *reply;
        enum resend_step first, again;
    } failures[] = {
        {"{\"ok\":0,\"code\":13}", RESEND_CLOSE, RESEND_ANSWER}, /* "nothing was run" */
        {"{\"ok\":0,\"code\":8}", RESEND_ANSWER, RESEND_ANSWER},
        {"{\"ok\":0,\"code\":10107,\"errorLabels\":[\"RetryableWriteError\"]}", RESEND_ANSWER,
         RESEND_ANSWER},
        {"{\"ok\":0,\"code\":10107,\"errorLabels\":[\"RetryableWriteError\",\"NoWritesPerformed\"]"
         "}",
         RESEND_CLOSE, RESEND_ANSWER},
        {"{\"ok\":1}", RESEND_CLOSE, RESEND_CLOSE},
        {"{\"n\":2,\"ok\":1}", RESEND_CLOSE, RESEND_CLOSE},
    };
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        int64_t number = 2 + (int64_t)i;
        struct answers answers;
        struct batch *batch = batch_of(f, 2, number);
        assert_int_equal(answer(f, batch, "{\"ok\":0,\"code\":8}", &answers), BATCH_FIND_OUT);
        struct merger_resend *resend = batch_take_resend(batch_first(batch));
        assert_int_equal(ask(f, resend, failures[i].reply).step, failures[i].first);
        batch_end(f->merger, batch, f->now_us);
        for (int again = 0; again < 2; again++) { /* none of these is final */
            assert_int_equal(submit_id(f, 1, 1, number), MERGER_RESEND);
            struct asked asked = ask(f, f->answer.resend, failures[i].reply);
            assert_int_equal(asked.step, failures[i].again);
            if (asked.step == RESEND_ANSWER)
                assert_non_null(strstr(asked.json, "\"ok\" : 0"));
        }
    }
}

/* A client's own insert of four documents, 21 … 24, after one of another; sent again. */
static struct merger_resend *of_four(struct fixture *f, bool in_body)
{
    struct answers answers;
    uint8_t raw[16];
    know(f, 0);
    know(f, 1);
    know(f, 2);
    assert_int_equal(submit_id(f, 0, 0, 2), MERGER_GO);
    struct merger_permit *first = f->answer.permit;
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT);
    char body[512];
    lsid_of(2, raw);
    (void)snprintf(body, sizeof body,
                   "{\"insert\":\"c\",\"$db\":\"test\",\"ordered\":false%s,\"lsid\":{\"id\":{\"$"
                   "uuid\":\"02000000-0000-0000-0000-00000000004c\"}},\"txnNumber\":{\"$"
                   "numberLong\":\"2\"}}",
                   in_body ? ",\"documents\":[{\"_id\":21},{\"_id\":22},{\"_id\":23},{\"_id\":24}]"
                           : "");
    struct command many = command_of(
        0, body, in_body ? NULL : "[{\"_id\":21},{\"_id\":22},{\"_id\":23},{\"_id\":24}]");
    assert_int_equal(submit(f, &many, (void *)2), MERGER_WAIT);
    merger_finished(f->merger, first, f->now_us);
    struct batch *batch = merger_take(f->merger, f->now_us);
    assert_true(batch_may_resend(f->merger, batch, f->now_us));
    assert_int_equal(answer(f, batch, "{\"n\":3,\"ok\":1}", &answers), BATCH_FIND_OUT);
    struct merger_resend *resend = batch_take_resend(batch_next(batch_first(batch)));
    batch_end(f->merger, batch, f->now_us);
    return resend;
}

static void many_documents_are_asked_for_one_by_one(void **state)
{
    struct fixture *f = *state;
    static const char *const each[] = {
        "{\"n\":1,\"opTime\":1,\"ok\":1,\"retriedStmtIds\":[1],\"operationTime\":5}",
        "{\"n\":0,\"writeErrors\":[{\"index\":0,\"code\":11000,\"keyValue\":{\"_id\":22}}],"
        "\"opTime\":2,\"ok\":1,\"operationTime\":6}",
        "{\"n\":1,\"writeConcernError\":{\"code\":64,\"errmsg\":\"slow\"},\"opTime\":3,\"ok\":1,"
        "\"errorLabels\":[\"X\"],\"operationTime\":7}",
        "{\"n\":1,\"opTime\":4,\"ok\":1,\"retriedStmtIds\":[4],\"operationTime\":8}",
    };
    for (int in_body = 0; in_body < 2; in_body++) {
        if (in_body == 1) {
            (void)fixture_end(state);
            (void)fixture_make(state);
            f = *state;
        }
        struct merger_resend *resend = of_four(f, in_body == 1);
        struct asked asked = {RESEND_ASK, ""};
        for (int i = 0; i < 4; i++) {
            assert_int_equal(asked.step, RESEND_ASK);
            assert_asks(resend, 21 + i, 1 + i);
            asked = ask(f, resend, each[i]);
        }
        assert_int_equal(asked.step, RESEND_ANSWER);
        assert_string_equal(
            asked.json,
            "{ \"n\" : 3, \"writeErrors\" : [ { \"index\" : 1, \"code\" : 11000, \"keyValue\" : { "
            "\"_id\" : 22 } } ], \"writeConcernError\" : { \"code\" : 64, \"errmsg\" : \"slow\" }, "
            "\"errorLabels\" : [ \"X\" ], \"retriedStmtIds\" : [ 0, 3 ], \"opTime\" : 4, \"ok\" : "
            "1, \"operationTime\" : 8 }");
        assert_int_equal(merger_held_bytes(f->merger), 0);
    }
}

static void what_fails_among_many_ends_the_asking(void **state)
{
    struct fixture *f = *state;
    struct merger_resend *resend = of_four(f, false);
    assert_int_equal(ask(f, resend, "{\"n\":1,\"ok\":1}").step, RESEND_ASK);
    struct asked asked = ask(f, resend,
                             "{\"ok\":0,\"code\":91,\"errorLabels\":[\"Retryable"
                             "WriteError\"]}");
    assert_int_equal(asked.step, RESEND_ANSWER);
    assert_non_null(strstr(asked.json, "\"code\" : 91"));
}

/* The first document may be stored: no error may claim that the command has written nothing. */
static void what_claims_nothing_is_not_told_after_the_first(void **state)
{
    struct fixture *f = *state;
    static const char *const errors[] = {
        "{\"ok\":0,\"code\":13}",
        "{\"ok\":0,\"code\":91,\"errorLabels\":[\"RetryableWriteError\",\"NoWritesPerformed\"]}"};
    struct merger_resend *resend = of_four(f, false);
    merger_resend_lost(f->merger, resend, f->now_us);
    struct command many =
        command_of(0,
                   "{\"insert\":\"c\",\"$db\":\"test\",\"ordered\":false,\"lsid\":{"
                   "\"id\":{\"$uuid\":\"02000000-0000-0000-0000-00000000004c\"}},"
                   "\"txnNumber\":{\"$numberLong\":\"2\"}}",
                   "[{\"_id\":21},{\"_id\":22},{\"_id\":23},{\"_id\":24}]");
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        assert_int_equal(submit(f, &many, (void *)2), MERGER_RESEND); /* the client retries */
        resend = f->answer.resend;
        assert_int_equal(ask(f, resend, "{\"n\":1,\"ok\":1}").step, RESEND_ASK);
        assert_int_equal(ask(f, resend, errors[i]).step, RESEND_CLOSE);
        assert_int_equal(submit(f, &many, (void *)2), MERGER_RESEND);
        assert_int_equal(ask(f, f->answer.resend, errors[i]).step, RESEND_ANSWER);
    }
}

/* A slow server, not a dead one: it receives a statement that it recognises by now, as from a
 * resend. */
static void a_batch_of_which_one_was_let_go_is_not_believed(void **state)
{
    struct fixture *f = *state;
    struct answers answers;
    f->rules.stalled_after_us = 1000;
    struct batch *batch = batch_of(f, 3, 2);
    struct merger_waiter *last = batch_next(batch_next(batch_first(batch)));
    merger_leave(f->merger, last, f->now_us);
    assert_int_equal(submit_id(f, 3, 3, 2), MERGER_WAIT_FOR_FIRST);
    struct retry_waiter *retry_waiter = f->answer.retry_waiter;
    f->now_us += 10000;
    batch_let_go(f->merger, batch, f->now_us);
    retry_stop_waiting(retry_waiter);
    assert_int_equal(submit_id(f, 3, 3, 2), MERGER_RESEND);
    assert_int_equal(ask(f, f->answer.resend, "{\"n\":1,\"ok\":1}").step, RESEND_ANSWER);
    assert_int_equal(answer(f, batch,
                            "{\"n\":2,\"writeErrors\":[{\"index\":1,\"code\":11000}],\"ok\":1}",
                            &answers),
                     BATCH_FIND_OUT);
    take_and_lose(f, batch_first(batch));
    batch_end(f->merger, batch, f->now_us);
}

/* The server refused its document. If somebody removes the other document of that _id, a batch that
 * is sent again would store it. */
static void a_batch_of_which_one_was_let_go_is_not_sent_again(void **state)
{
    struct fixture *f = *state;
    f->rules.stalled_after_us = 1000;
    struct batch *batch = batch_of(f, 2, 2);
    merger_leave(f->merger, batch_first(batch), f->now_us);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_WAIT_FOR_FIRST);
    struct retry_waiter *retry_waiter = f->answer.retry_waiter;
    f->now_us += 10000;
    batch_let_go(f->merger, batch, f->now_us);
    retry_stop_waiting(retry_waiter);
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_RESEND);
    assert_int_equal(ask(f, f->answer.resend,
                         "{\"n\":0,\"writeErrors\":[{\"index\":0,\"code\":11000}],\"ok\":1}")
                         .step,
                     RESEND_ANSWER);
    assert_false(batch_may_resend(f->merger, batch, f->now_us));
    batch_lost(f->merger, batch, true, f->now_us);
    batch_end(f->merger, batch, f->now_us);
}

static void any_allocation_may_fail(void **state)
{
    bool whole = false;
    for (long i = 1; !whole; i++) {
        assert_in_range(i, 1, 1000);
        assert_int_equal(fixture_make(state), 0);
        struct fixture *f = *state;
        struct answers answers;
        struct batch *batch = batch_of(f, 2, 2);
        assert_true(batch_may_resend(f->merger, batch, f->now_us));
        bson_t *left = support_json("{\"n\":1,\"ok\":1}");
        memory_fail_after(i);
        assert_int_equal(
            batch_answer(f->merger, batch, support_bytes(left), note, &answers, f->now_us),
            BATCH_FIND_OUT);
        whole = true;
        struct merger_waiter *waiter = batch_first(batch);
        for (int at = 0; at < 2; at++, waiter = batch_next(waiter)) {
            struct merger_resend *resend = batch_take_resend(waiter);
            uint8_t *payload = NULL;
            size_t len = 0;
            struct build build = {0};
            struct bytes own;
            whole = whole && resend != NULL;
            if (resend == NULL)
                continue;
            if (merger_resend_payload(resend, &payload, &len)) {
                enum resend_step step =
                    merger_resent(f->merger, resend, support_bytes(left), f->now_us, &build, &own);
                assert_true(step == RESEND_ANSWER || step == RESEND_CLOSE);
                whole = whole && step == RESEND_ANSWER;
            } else {
                merger_resend_lost(f->merger, resend, f->now_us);
                whole = false;
            }
            memory_free(payload);
            build_free(&build);
        }
        memory_fail_never();
        batch_end(f->merger, batch, f->now_us);
        bson_destroy(left);
        (void)fixture_end(state);
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, fixture_make, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(only_that_all_is_stored_is_believed_the_second_time),
        WITH(without_numbers_nobody_can_find_out),
        WITH(each_asks_for_its_own),
        WITH(who_left_is_not_asked_for),
        WITH(what_failed_is_told_as_it_is),
        WITH(many_documents_are_asked_for_one_by_one),
        WITH(what_fails_among_many_ends_the_asking),
        WITH(what_claims_nothing_is_not_told_after_the_first),
        WITH(a_batch_of_which_one_was_let_go_is_not_believed),
        WITH(a_batch_of_which_one_was_let_go_is_not_sent_again),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
