#include "verifier/http/connections.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX = 8, OF_ADDRESS = 3, CROWD = 6 /* three quarters */ };

/* One end is the server's. */
struct pair {
    int fds[2];
    struct connection *connection;
};

static struct address address_of(int number)
{
    char text[] = "192.0.2.0";
    text[sizeof text - 2] = (char)('0' + number);
    return address_of_text(text);
}

static struct pair connect_from(struct connections *connections, int number)
{
    struct pair pair;
    struct address address = address_of(number);
    must(connections_admit(connections, &address, false));
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.fds) == 0);
    pair.connection = connections_add(connections, &address, pair.fds[0], INT64_MAX);
    return pair;
}

static bool is_cut(const struct pair *pair)
{
    struct pollfd end = {.fd = pair->fds[1], .events = POLLIN};
    return poll(&end, 1, 0) == 1;
}

static void disconnect(struct connections *connections, struct pair *pairs, int count)
{
    for (int i = 0; i < count; i++) {
        connections_remove(connections, pairs[i].connection);
        close(pairs[i].fds[0]);
        close(pairs[i].fds[1]);
    }
    connections_free(connections);
}

Test(connections, an_address_has_its_share_and_gets_it_back)
{
    struct connections *connections = connections_new(MAX, OF_ADDRESS);
    struct pair pairs[OF_ADDRESS];
    struct address one = address_of(1), other = address_of(2);
    for (int i = 0; i < OF_ADDRESS; i++)
        pairs[i] = connect_from(connections, 1);
    cr_expect_not(connections_admit(connections, &one, false));
    cr_expect(connections_admit(connections, &one, true));
    cr_expect(connections_admit(connections, &other, false));
    connections_remove(connections, pairs[0].connection);
    cr_expect(connections_admit(connections, &one, false));
    close(pairs[0].fds[0]);
    close(pairs[0].fds[1]);
    disconnect(connections, pairs + 1, OF_ADDRESS - 1);
}

Test(connections, in_a_crowd_the_oldest_without_a_key_gives_way_and_no_other)
{
    struct connections *connections = connections_new(MAX, OF_ADDRESS);
    struct pair pairs[CROWD + 2];
    for (int i = 0; i < CROWD; i++)
        pairs[i] = connect_from(connections, i / 2);
    connection_is_known(connections, pairs[0].connection);
    pairs[CROWD] = connect_from(connections, 7);
    pairs[CROWD + 1] = connect_from(connections, 8);
    cr_expect_not(is_cut(&pairs[0]), "it has a key");
    cr_expect(is_cut(&pairs[1]));
    cr_expect(is_cut(&pairs[2]));
    cr_expect_not(is_cut(&pairs[3]));
    disconnect(connections, pairs, CROWD + 2);
}

Test(connections, with_a_key_raise_the_occupancy)
{
    static const enum occupancy expected[CROWD + 1] = {
        OCCUPANCY_LOW,  OCCUPANCY_LOW,  OCCUPANCY_LOW, OCCUPANCY_LOW,
        OCCUPANCY_HALF, OCCUPANCY_HALF, OCCUPANCY_FULL};
    struct connections *connections = connections_new(MAX, OF_ADDRESS);
    struct pair pairs[CROWD + 1];
    for (int i = 0; i <= CROWD; i++) {
        pairs[i] = connect_from(connections, i);
        connection_is_known(connections, pairs[i].connection);
        connection_is_known(connections, pairs[i].connection); /* counts once */
        cr_expect_eq(connections_occupancy(connections), expected[i], "%d", i + 1);
    }
    disconnect(connections, pairs, CROWD + 1);
}

Test(connections, past_their_deadline_are_cut)
{
    struct connections *connections = connections_new(MAX, OF_ADDRESS);
    struct pair pairs[2] = {connect_from(connections, 1), connect_from(connections, 2)};
    connection_is_known(connections, pairs[0].connection);
    connection_set_deadline(connections, pairs[0].connection, 100);
    connections_cut(connections, 101);
    cr_expect(is_cut(&pairs[0]));
    cr_expect_not(is_cut(&pairs[1]));
    disconnect(connections, pairs, 2);
}
