/* Each allocation of a whole session room fails, and all after it for a while: no crash, no client
 * is left over, and each client that comes after memory is available again is served. */
#include "../cmocka_all.h"

#include "base/memory.h"
#include "session_rig.h"

/* Clients of every kind, a server that answers, one that hangs up, and retries. The messages are
 * made before, since the proxy's allocations are to fail and not the test's. */
enum { SCENE = 14 };

/* A scene makes about 70 allocations; the last plays see none fail. */
enum { PLAYS = 200 };

struct scene {
    uint8_t messages[SCENE][RIG_MESSAGE_BYTES];
    size_t len[SCENE];
};

static void prepare(struct scene *scene)
{
    static const size_t kinds[SCENE] = {1, 4, 4, 4, 4, 4, 4, 4, 6, 9, 10, 14, 0, 3};
    for (size_t i = 0; i < SCENE; i++)
        scene->len[i] = rig_message(kinds[i], (uint32_t)(i % 4 + 4 * i), scene->messages[i]);
}

static void play(struct rig *rig, const struct scene *scene, long fail_at)
{
    if (fail_at > 0)
        memory_fail_after(fail_at);
    for (size_t i = 0; i < SCENE; i++) {
        rig_send(rig, i % RIG_CLIENTS, scene->messages[i], scene->len[i]);
        if (i % 4 == 3) {
            rig_settle(rig);
            (void)rig_serve(rig, i == 7 ? RIG_ANSWER_HANGUP : RIG_ANSWER_RIGHT, 0);
        }
    }
    memory_fail_never();
    rig_settle(rig);
    (void)rig_serve(rig, RIG_ANSWER_RIGHT, 0);
    rig_settle(rig);
}

static bool is_served(struct rig *rig)
{
    uint8_t ping[RIG_MESSAGE_BYTES];
    size_t len = rig_message(0, 1, ping);
    uint64_t before = rig_received(rig);
    for (int i = 0; i < 1000 && rig_received(rig) == before; i++) {
        rig_send(rig, 0, ping, i == 0 ? len : 0);
        rig_settle(rig);
        (void)rig_serve(rig, RIG_ANSWER_RIGHT, 0);
        rig_settle(rig);
    }
    return rig_received(rig) > before;
}

static void every_allocation_fails(void **state)
{
    static struct scene scene;
    struct rig *rig = rig_open(RIG_SESSION);
    (void)state;
    prepare(&scene);
    for (long i = 0; i < PLAYS; i++) {
        play(rig, &scene, i);
        assert_true(rig_end_all(rig));
        if (i % 20 == 0) {
            assert_true(is_served(rig));
            assert_true(rig_end_all(rig));
        }
    }
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
