/* Listening sockets; the file of a Unix socket, and other files in its place. */
#include "../cmocka_all.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/listener.h"

enum { PATH_BYTES = 300 };

struct place {
    char folder[64];
    char path[PATH_BYTES];
};

static int make_place(void **state)
{
    static struct place place;
    (void)snprintf(place.folder, sizeof place.folder, "/tmp/sluice-listener-XXXXXX");
    assert_non_null(mkdtemp(place.folder));
    (void)snprintf(place.path, sizeof place.path, "%s/mongodb-1.sock", place.folder);
    *state = &place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    (void)unlink(place->path);
    return rmdir(place->folder);
}

static int listen_at(const struct place *place)
{
    struct error err;
    struct listener_file file;
    return listener_bind_unix(place->path, 0770, 8, "option", &file, &err);
}

static bool connects(const struct place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(place->path) < sizeof address.sun_path);
    memcpy(address.sun_path, place->path, strlen(place->path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

static void assert_refused(const struct place *place, const char *why)
{
    struct error err = {0};
    char text[sizeof err.message];
    struct listener_file file;
    assert_int_equal(listener_bind_unix(place->path, 0770, 8, "option", &file, &err), -1);
    (void)snprintf(text, sizeof text, "cannot listen on %s: %s (option option)", place->path, why);
    assert_string_equal(err.message, text);
}

static void it_listens_with_its_permissions(void **state)
{
    struct place *place = *state;
    struct stat file;
    int fd = listen_at(place);
    assert_true(fd >= 0);
    assert_true(connects(place));
    assert_int_equal(stat(place->path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0770);
    close(fd);
}

static void what_a_killed_process_left_gives_way(void **state)
{
    struct place *place = *state;
    close(listen_at(place));
    assert_false(connects(place));
    int fd = listen_at(place);
    assert_true(fd >= 0);
    assert_true(connects(place));
    close(fd);
}

static void a_socket_in_use_stays(void **state)
{
    struct place *place = *state;
    int fd = listen_at(place);
    assert_refused(place, "another process listens on it; use different folders or ports");
    assert_true(connects(place));
    close(fd);
}

static void a_file_that_is_no_socket_stays(void **state)
{
    struct place *place = *state;
    close(open(place->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_refused(place, "a file that is not a socket has this path; remove it");
    assert_int_equal(access(place->path, F_OK), 0);
}

static void only_its_own_file_is_removed(void **state)
{
    struct place *place = *state;
    struct error err;
    struct listener_file mine;
    struct listener_file others;
    int fd = listener_bind_unix(place->path, 0700, 8, "option", &mine, &err);
    assert_int_equal(unlink(place->path), 0);
    int other = listener_bind_unix(place->path, 0700, 8, "option", &others, &err);
    assert_true(fd >= 0 && other >= 0);
    listener_remove_file(place->path, &mine);
    assert_true(connects(place));
    listener_remove_file(place->path, &others);
    assert_int_not_equal(access(place->path, F_OK), 0);
    close(fd);
    close(other);
}

/* Two processes would listen under one name if both examined a stale socket at the same time. */
static void of_many_that_come_together_one_listens(void **state)
{
    enum { MANY = 8, ROUNDS = 20 };
    struct place *place = *state;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t children[MANY];
        int go[2];
        int listening = 0;
        assert_int_equal(pipe(go), 0);
        for (int i = 0; i < MANY; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                char byte;
                close(go[1]);
                (void)!read(go[0], &byte, 1); /* until the parent closes it */
                int fd = listen_at(place);
                usleep(100000); /* all have tried by then */
                _exit(fd >= 0);
            }
        }
        close(go[0]);
        close(go[1]);
        for (int i = 0; i < MANY; i++) {
            int status = 0;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            listening += WEXITSTATUS(status);
        }
        assert_int_equal(listening, 1); /* the next round finds the rest */
    }
}

static void a_folder_that_is_not_there(void **state)
{
    struct place *place = *state;
    struct place other = *place;
    (void)snprintf(other.path, sizeof other.path, "%s/no/mongodb-1.sock", place->folder);
    assert_refused(&other, "No such file or directory");
}

static void a_path_that_is_too_long(void **state)
{
    struct place *place = *state;
    struct place other = *place;
    memset(other.path, 'a', 150);
    other.path[150] = '\0';
    assert_refused(&other, "the path of a Unix socket has at most 107 bytes");
}

static int option_of(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void what_is_accepted_is_tuned(void **state)
{
    (void)state;
    struct error err;
    uint16_t port = 0;
    int listening = listener_bind("127.0.0.1", 0, 8, "option", &port, &err);
    assert_true(listening >= 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&to, sizeof to), 0);
    int accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_not_equal(option_of(accepted, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_not_equal(option_of(accepted, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 120);
    close(accepted);
    close(client);
    close(listening);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_accepted_is_tuned),
        cmocka_unit_test_setup_teardown(it_listens_with_its_permissions, make_place, remove_place),
        cmocka_unit_test_setup_teardown(what_a_killed_process_left_gives_way, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(a_socket_in_use_stays, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_stays, make_place, remove_place),
        cmocka_unit_test_setup_teardown(only_its_own_file_is_removed, make_place, remove_place),
        cmocka_unit_test_setup_teardown(of_many_that_come_together_one_listens, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there, make_place, remove_place),
        cmocka_unit_test_setup_teardown(a_path_that_is_too_long, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
