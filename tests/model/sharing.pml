/* Sharing of upstream connections, as src/session/{lease,sharing,pooled,pool_rest}.c and
 * src/auth/standing.c do it, for spin. The names are the code's. docs/sharing.md states what the
 * assertions check.
 *
 * A client logs in on a connection of its own. The server names the connection's user in its answer
 * to connectionStatus. Then the connection joins the pool of that user's principal, and the client
 * may use any connection of the pool. The server may forget a connection's login at any time,
 * without a word: somebody dropped the user, and made another one of the same name.
 *
 * MUTANT_* are planted faults of the proxy: each must be found. */

#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef CONNECTIONS
#define CONNECTIONS 3
#endif
#ifndef ACTIONS
#define ACTIONS 2 /* of each client */
#endif
#ifndef CUTS
#define CUTS 1
#endif
#define NONE 255

#define NOBODY 0
#define ALICE  1
#define BOB    2
#define USERS  3

mtype = { OUT, IDLE, LEASED, OWN, ABANDONED }; /* of a connection */

/* --- the server -------------------------------------------------------------------------------- */

byte born[USERS]; /* how often the user was made anew */

typedef login {
    byte user;
    byte born
}

login at_server[CONNECTIONS]; /* the login that the connection has */
byte owed[CONNECTIONS] = NONE; /* the client of the command whose reply is still to come */
byte unrun[CONNECTIONS] = NONE; /* the client whose unacknowledged write has not run yet */

/* A login of a dropped user is none. */
#define named_at_server(k)                                                                          \
    (at_server[k].born == born[at_server[k].user] -> at_server[k].user : NOBODY)
#define named_direct(c) (direct[c].born == born[direct[c].user] -> direct[c].user : NOBODY)

/* --- the proxy --------------------------------------------------------------------------------- */

/* auth/standing: a connection of the user's incarnation was logged in at every time from low to
 * high. Times are numbers of questions. */
byte now;
byte low[USERS];
byte high[USERS];

mtype place[CONNECTIONS] = OUT;
byte connection_as[CONNECTIONS];    /* shared_as: the user; 0: nobody, or unknown */
byte connection_since[CONNECTIONS]; /* the time of the first question with this answer */
bool connection_logged_in[CONNECTIONS];  /* may_be_logged_in */
byte named[CONNECTIONS] = NONE; /* what the server answered about the login; NONE: nothing yet */
byte asked[CONNECTIONS];        /* the time of that question */

byte client_as[CLIENTS];
byte client_since[CLIENTS];
bool keeps_own[CLIENTS]; /* as in session mode */
bool client_logged_in[CLIENTS];
byte leased[CLIENTS] = NONE;
login direct[CLIENTS]; /* what the client would be on a connection of its own */
byte cuts = CUTS;

#ifdef MUTANT_NAME_ALONE
#define is_certain(user, since) true
#else
#define is_certain(user, since) (since >= low[user])
#endif
#ifdef MUTANT_LEASE_TO_ANYBODY
#define lease_fits(c, k) true
#else
#define lease_fits(c, k)                                                                           \
    ((!client_logged_in[c] && !connection_logged_in[k]) ||                                         \
     (client_logged_in[c] && connection_logged_in[k] && client_as[c] != 0 &&                       \
      client_as[c] == connection_as[k] && is_certain(client_as[c], client_since[c]) &&             \
      is_certain(connection_as[k], connection_since[k])))
#endif

#define drop_lease(c, k)                                                                           \
    if                                                                                             \
    :: leased[c] == k -> leased[c] = NONE                                                          \
    :: else                                                                                        \
    fi

inline upstream_close(k)
{
    drop_lease(0, k);
    drop_lease(CLIENTS - 1, k);
    place[k] = OUT;
    connection_as[k] = 0;
    connection_since[k] = 0;
    connection_logged_in[k] = false;
    at_server[k].user = NOBODY;
    at_server[k].born = 0;
    named[k] = NONE;
    asked[k] = 0;
    owed[k] = NONE;
    unrun[k] = NONE
}

/* The server runs a command of client c on connection k. */
inline server_run(c, k)
{
    /* the write that came before it on this connection */
    unrun[k] = NONE;
    /* nothing of one identity runs as another */
    assert(named_at_server(k) == named_direct(c));
    /* a client sees its own unacknowledged writes */
    assert(unrun[0] != c && unrun[1] != c && unrun[CONNECTIONS - 1] != c);
    assert(owed[k] == NONE)
}

/* Finds an unused connection that the proxy may open. */
inline find_unused(k)
{
    k = 0;
    do
    :: k < CONNECTIONS && place[k] != OUT -> k++
    :: else -> break
    od;
    if
    :: k == CONNECTIONS -> k = NONE
    :: else
    fi
}

/* An idle connection that fits; otherwise a new one for a client of nobody. NONE: there is none. */
inline take_lease(c, k)
{
    k = 0;
    do
    :: k < CONNECTIONS && !(place[k] == IDLE && lease_fits(c, k)) -> k++
    :: else -> break
    od;
    if
    :: k == CONNECTIONS && !client_logged_in[c] -> find_unused(k)
    :: k == CONNECTIONS && client_logged_in[c] -> k = NONE
    :: k < CONNECTIONS
    fi;
    if
    :: k != NONE -> place[k] = LEASED; leased[c] = k
    :: else
    fi
}

/* The client's connection to the proxy ends; the driver opens another one, without a login. */
inline client_ends(c)
{
    client_logged_in[c] = false;
    client_as[c] = 0;
    client_since[c] = 0;
    keeps_own[c] = false;
    direct[c].user = NOBODY;
    direct[c].born = 0;
    leased[c] = NONE
}

/* meet of auth/standing.c: the user was named at `at`, on a connection that has the login since
 * `since`. */
inline meet(user, since, at)
{
    if
    :: since > high[user] -> low[user] = since; high[user] = at /* another incarnation */
    :: since <= high[user] && at >= low[user] ->
        if
        :: since < low[user] -> low[user] = since
        :: else
        fi;
        if
        :: at > high[user] -> high[user] = at
        :: else
        fi
    :: else /* older than this incarnation */
    fi
}

#define is_older(o, k) ((o) != k && place[o] != OUT && connection_as[o] == named[k])
#define is_busy(o, k)  (is_older(o, k) && place[o] != IDLE)
/* ask_older: the login waits until an older connection of that name can be asked. */
#define must_ask(k) (asked[k] > high[named[k]])
#define may_join(k)                                                                                \
    (!must_ask(k) || !(is_busy(0, k) || is_busy(1, k) || is_busy(CONNECTIONS - 1, k)))

/* Asks the older connections. One that the server does not name any more is lost. */
inline ask_older(k)
{
    byte o;
    if
    :: must_ask(k) ->
        now++;
        for (o : 0 .. CONNECTIONS - 1) {
            if
            :: is_older(o, k) && named_at_server(o) == named[k] ->
                meet(named[k], connection_since[o], now)
            :: is_older(o, k) && named_at_server(o) != named[k] -> upstream_close(o)
            :: else
            fi
        }
        o = 0
    :: else
    fi
}

/* become: the login is proved. */
inline become(c, k)
{
    meet(named[k], asked[k], asked[k]);
    connection_as[k] = named[k]; connection_since[k] = asked[k];
    client_as[c] = named[k]; client_since[c] = asked[k];
    if
    :: lease_fits(c, k) -> place[k] = IDLE; leased[c] = NONE
    :: else ->
        keeps_own[c] = true;
        connection_as[k] = 0; client_as[c] = 0
    fi
}

proctype Client(byte c)
{
    byte k = NONE;
    byte left = ACTIONS;
    byte user;
    bool right;
    do
    :: left == 0 -> break
    :: left > 0 ->
        left--;
        if
        /* it has its connection to itself, as in session mode, and leaves */
        :: atomic { keeps_own[c] -> k = leased[c];
            if
            :: k != NONE -> upstream_close(k)
            :: else
            fi;
            client_ends(c) }
        /* a command, acknowledged or not */
        :: atomic { !keeps_own[c]; take_lease(c, k);
            if
            :: k == NONE -> client_ends(c) /* the pool cannot be refilled, or is full */
            :: else
            fi }
            if
            :: k != NONE ->
                if
                :: atomic { leased[c] == k -> server_run(c, k); owed[k] = c } /* acknowledged */
                :: atomic { leased[c] == k && unrun[k] == NONE -> unrun[k] = c; /* w: 0 */
#ifdef MUTANT_UNACKNOWLEDGED_UNPINNED
                    place[k] = IDLE; leased[c] = NONE; take_lease(c, k)
#endif
                    }
                    if
                    :: atomic { k != NONE && leased[c] == k -> server_run(c, k); owed[k] = c }
                    :: k == NONE || leased[c] != k
                    fi
                :: leased[c] != k /* it was cut */
                fi;
                if
                :: atomic { k != NONE && leased[c] == k -> /* the reply comes */
                    assert(owed[k] == c);
                    owed[k] = NONE;
                    leased[c] = NONE;
                    if
                    :: connection_logged_in[k] && connection_as[k] == 0 -> upstream_close(k)
                    :: else -> place[k] = IDLE
                    fi }
                :: atomic { k != NONE && leased[c] == k -> /* the client leaves */
#ifdef MUTANT_ABANDONED_REUSED
                    place[k] = IDLE;
#else
                    place[k] = ABANDONED; /* until the reply, for pool.cancel_grace_ms */
#endif
                    client_ends(c) }
                :: atomic { k == NONE || leased[c] != k -> client_ends(c) }
                fi
            :: else
            fi
        /* a login, on a connection of its own */
        :: atomic { !keeps_own[c];
            if
            :: user = ALICE
            :: user = BOB
            fi;
            take_lease(c, k);
            if
            :: k == NONE -> client_ends(c)
            :: else ->
#ifdef MUTANT_LOGIN_ON_SHARED
                place[k] = LEASED
#else
                place[k] = OWN; /* pool_detach */
                connection_as[k] = 0; client_as[c] = 0; /* sharing_forget_identity */
                client_logged_in[c] = true;
                connection_logged_in[k] = true;
                named[k] = NONE
#endif
            fi }
            if
            :: k != NONE ->
                if
                :: right = true
                :: right = false /* a wrong password: the identity stays */
                fi;
                if
                :: atomic { right && leased[c] == k ->
                    at_server[k].user = user; at_server[k].born = born[user];
                    direct[c].user = user; direct[c].born = born[user] }
                :: !right || leased[c] != k
                fi;
                if /* connectionStatus */
                :: atomic { leased[c] == k ->
#ifdef MUTANT_JOINED_BY_CLAIM
                    named[k] = user;
#else
                    named[k] = named_at_server(k);
#endif
                    now++;
                    asked[k] = now
                    }
                :: leased[c] != k
                fi;
                if /* join */
                :: atomic { leased[c] == k && place[k] == OWN && named[k] != NOBODY && may_join(k) ->
                    ask_older(k);
                    become(c, k) }
                :: atomic { leased[c] == k && place[k] == OWN && named[k] == NOBODY ->
                    client_logged_in[c] = false; connection_logged_in[k] = false;
                    client_as[c] = 0;
                    place[k] = IDLE; leased[c] = NONE }
                :: atomic { leased[c] != k -> client_ends(c) }
#ifdef MUTANT_LOGIN_ON_SHARED
                :: atomic { leased[c] == k && place[k] == LEASED -> place[k] = IDLE; leased[c] = NONE }
#endif
                fi
            :: else
            fi
        fi;
        k = NONE
    od
}

/* The server's side: replies to nobody, users that are dropped and made anew, cut connections. */
proctype Server()
{
    byte k;
    bool may_drop = true;
end:
    do
    :: atomic { may_drop -> may_drop = false; born[ALICE]++ }
    :: atomic {
        select(k : 0 .. CONNECTIONS - 1);
        if
        :: unrun[k] != NONE -> unrun[k] = NONE
        :: place[k] == ABANDONED && owed[k] != NONE -> owed[k] = NONE; place[k] = IDLE
        :: place[k] == ABANDONED -> upstream_close(k) /* pool.cancel_grace_ms */
        :: cuts > 0 && place[k] != OUT -> cuts--; upstream_close(k)
        :: else
        fi;
        k = 0 }
    od
}

init
{
    byte c;
    atomic {
        for (c : 0 .. CLIENTS - 1) { run Client(c) }
        run Server();
        c = 0
    }
}
