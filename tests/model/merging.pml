/* Merging and retries of inserts, as src/merge and src/session/merge_*.c do them, for spin. The
 * names are the code's. docs/merging.md states the guarantees that the assertions check, and its
 * section Gaps names the assumptions; each assumption is a macro here, and with the macro the
 * gap is the counterexample (tests/model/check.py).
 *
 *   PROXY_ENDS     the proxy's process ends once, and another one starts
 *   NO_STATEMENTS  the server recognises whole commands only, not single statements
 *   INEXACT        (with MANY) the server answers the repeat of a forwarded command with many documents
 *                  inexactly, as MongoDB 4.4 does
 *   WRONG_TIME     a client sends a $clusterTime that the server refuses
 *   LATE_UPDATE    an update hangs in the network and arrives after a later insert of its session
 *   LATE_BATCH     a batch hangs in the network, and arrives after its connection broke
 *   HANGS          the same while the connection stands, so that the proxy's patience ends (STALLS)
 *                  (both only with REMOVE)
 *
 * With these all guarantees hold:
 *
 *   MANY           an insert that is forwarded unchanged has two documents
 *   REMOVE         somebody removes documents
 *   STALLS         answers to batches come so late that the proxy asks for an insert separately
 *
 * MUTANT_* are planted faults of the proxy: each must be found. */

#ifndef DRIVERS
#define DRIVERS 2
#endif
#ifndef OPS
#define OPS 2 /* of each driver, one after the other, in one session */
#endif
#ifndef BREAKS
#define BREAKS 2 /* broken connections in a history */
#endif
#define BATCHES  2 /* in flight at once */
#define SESSIONS 3 /* of the proxy */
#define NOBODY   255
#define op(d, n) ((d) * OPS + (n)-1) /* numbers begin with 1 */

mtype = { NOTHING, DIRECT, PENDING, UNSENT, DONE, UNKNOWN }; /* merge/retry_table.h */
mtype = { NONE, STORED, REFUSED, CLOSED, OLD, TIME };        /* answers to a driver */
mtype = { AWAY, WAITER, WAITING_RETRY };                     /* of a driver at the proxy */

/* --- the server -------------------------------------------------------------------------------- */

byte owner[DRIVERS * OPS + 1]; /* of the document with that _id, as op + 1; 0: none */
byte id_of[DRIVERS * OPS];     /* the _id that an op inserts; 0 is one that all may insert */
byte times[DRIVERS * OPS];     /* how often the document of the op was stored */
bool refused[DRIVERS * OPS];   /* its driver was told so */

byte own_last[DRIVERS]; /* the highest number under the driver's session */
bool own_ran[DRIVERS];  /* its statement is recorded as done */
byte last_of[SESSIONS]; /* the same for the proxy's sessions */
byte ran[SESSIONS];     /* a bit for each statement; a statement is the driver's index */

#define server_store(o, answer)                                                                    \
    if                                                                                             \
    :: owner[id_of[o]] == 0 ->                                                                     \
        owner[id_of[o]] = (o) + 1;                                                                 \
        times[o]++;                                                                                \
        assert(times[o] <= 1);  /* exactly once */                                                 \
        assert(!refused[o]);    /* what was refused is not stored later */                         \
        answer = STORED                                                                            \
    :: else -> answer = REFUSED                                                                    \
    fi

#ifdef WRONG_TIME
#define time_is_wrong(d, n) ((d) == 1 && (n) == OPS)
#else
#define time_is_wrong(d, n) false
#endif

#ifdef MANY
/* The first insert of driver 0 has a second document, with the _id that all may insert. */
#define has_second(d, n) ((d) == 0 && (n) == 1)
bool second_ran;
mtype second = NONE; /* the server's last answer about it */
#ifdef INEXACT
#define repeat_second() second = STORED
#else
#define repeat_second() run_second()
#endif
inline run_second()
{
    if
    :: second_ran -> second = STORED
    :: !second_ran && owner[0] == 0 -> owner[0] = NOBODY; second_ran = true; second = STORED
    :: !second_ran && owner[0] != 0 -> second = REFUSED
    fi
}
#endif

/* An insert under the driver's own number. */
inline server_run_own(d, n, answer)
{
    if
    :: time_is_wrong(d, n) -> answer = TIME
    :: else ->
        if
        :: n < own_last[d] -> answer = OLD
        :: n == own_last[d] && own_ran[d] -> answer = STORED
        :: else ->
            own_last[d] = n;
            own_ran[d] = false;
            server_store(op(d, n), answer);
            own_ran[d] = (answer == STORED)
        fi;
#ifdef MANY
        if
        :: has_second(d, n) && answer != OLD && second == NONE -> run_second()
        :: has_second(d, n) && answer != OLD && second != NONE -> repeat_second()
        :: else
        fi
#endif
    fi
}

/* The statement of driver d in the batch under (p, number). */
inline server_run_statement(p, at, d, n, answer)
{
    if
    :: at < last_of[p] -> answer = OLD
    :: at == last_of[p] && (ran[p] & (1 << d)) != 0 -> answer = STORED
    :: else ->
        if
        :: at > last_of[p] -> last_of[p] = at; ran[p] = 0
        :: else
        fi;
        server_store(op(d, n), answer);
        if
        :: answer == STORED -> ran[p] = ran[p] | (1 << d)
        :: else
        fi
    fi
}

/* --- the proxy --------------------------------------------------------------------------------- */

typedef retry_entry {
    mtype state = NOTHING;
    byte number;
    byte session; /* P */
    byte batch_number; /* N */
    mtype reply = NONE
}
retry_entry table[DRIVERS];

typedef batch_of {
    bool under_way;
    bool arrived; /* or it is lost: it cannot run any more */
    byte session;
    byte number;
    byte op_number[DRIVERS]; /* 0: the driver has no insert in it */
    bool here[DRIVERS];      /* its client waits */
    bool let_go[DRIVERS]     /* the proxy asked for it already */
}
batch_of batches[BATCHES];

mtype at_proxy[DRIVERS] = AWAY;
byte waits_in[DRIVERS] = NOBODY; /* WAITER: the batch; NOBODY: the group */
byte group[DRIVERS];             /* the number of the insert that waits; 0: none */
mtype told[DRIVERS] = NONE;      /* the answer that the driver has not read */
byte next_number[SESSIONS] = 1;
bool in_use[SESSIONS];
bool retired[SESSIONS];
byte breaks = BREAKS;
bool over; /* all drivers ended */
#ifdef LATE_BATCH
byte late_session = NOBODY;
byte late_number;
byte late_op[DRIVERS];
#endif
byte ended;

#define answer_driver(d, what)                                                                     \
    assert(told[d] == NONE); /* each waiter gets one answer */                                     \
    told[d] = what;                                                                                \
    at_proxy[d] = AWAY;                                                                            \
    waits_in[d] = NOBODY

/* retry_settle: the end of the op that driver d has in the batch b. */
inline settle(b, d, end, answer)
{
    if
    :: table[d].state == PENDING && table[d].number == batches[b].op_number[d] &&
       table[d].session == batches[b].session ->
        table[d].state = end;
        table[d].reply = answer;
        if
        :: at_proxy[d] == WAITING_RETRY ->
            if
            :: end == DONE -> answer_driver(d, answer)
            :: else -> answer_driver(d, CLOSED) /* it is submitted again: the driver tries anew */
            fi
        :: else
        fi
    :: else
    fi
}

/* Ends the part of driver d in batch b: its own client is answered if it is here. */
inline end_waiter(b, d, end, answer)
{
    settle(b, d, end, answer);
    if
    :: batches[b].here[d] ->
        batches[b].here[d] = false;
        if
        :: end == DONE -> answer_driver(d, answer)
        :: else -> answer_driver(d, CLOSED)
        fi
    :: else
    fi
}

#define needs(p, d) (table[d].session == p && (table[d].state == UNKNOWN || table[d].state == PENDING))

inline batch_end(b)
{
    byte e;
    bool needed = false;
    for (e : 0 .. DRIVERS - 1) {
        if
        :: needs(batches[b].session, e) || batches[b].let_go[e] -> needed = true
        :: else
        fi;
        batches[b].op_number[e] = 0;
        batches[b].here[e] = false;
        batches[b].let_go[e] = false
    }
    e = 0;
#ifdef MUTANT_SESSION_REUSED
    needed = false;
#endif
    retired[batches[b].session] = needed;
    in_use[batches[b].session] = needed;
    batches[b].under_way = false;
    needed = false
}

/* The whole batch runs at the server. stored: every statement succeeded. */
inline server_run_batch(b)
{
    byte f;
    all_stored = true;
    for (f : 0 .. DRIVERS - 1) {
        if
        :: batches[b].op_number[f] != 0 ->
            server_run_statement(batches[b].session, batches[b].number, f, batches[b].op_number[f],
                                 result[f]);
            if
            :: result[f] != STORED -> all_stored = false
            :: else
            fi
        :: else
        fi
    }
    f = 0
}

/* merger_take: all inserts that wait go as one batch. */
inline take(b)
{
    byte g;
    byte p = 0;
    do
    :: in_use[p] -> p++
    :: else -> break
    od;
    in_use[p] = true;
    batches[b].under_way = true;
    batches[b].arrived = false;
    batches[b].session = p;
    batches[b].number = next_number[p];
    next_number[p]++;
    for (g : 0 .. DRIVERS - 1) {
        if
        :: group[g] != 0 ->
            batches[b].op_number[g] = group[g];
            batches[b].here[g] = true;
            waits_in[g] = b;
            table[g].session = p;
            table[g].batch_number = batches[b].number;
            group[g] = 0
        :: else
        fi
    }
    g = 0;
    p = 0
}

#define group_waits   (group[0] != 0 || group[DRIVERS - 1] != 0)
#define session_free  (!in_use[0] || !in_use[1] || !in_use[2])
#define somebody_here(b) (batches[b].here[0] || batches[b].here[DRIVERS - 1])
#define was_let_go(b)    (batches[b].let_go[0] || batches[b].let_go[DRIVERS - 1])

#ifdef MUTANT_RESENT_AFTER_QUESTION
#define may_resend(b) true
#else
#define may_resend(b) (!was_let_go(b)) /* batch_may_resend */
#endif

/* One permit for a batch in flight. */
proctype Merger(byte b)
{
    bool sent, lost, again, all_stored;
    mtype result[DRIVERS];
    byte d;
begin:
    do
    :: atomic { over -> goto end_merger }
    :: atomic { group_waits && session_free -> take(b); again = false; sent = false };
    send:
        lost = false;
        if
        :: atomic { server_run_batch(b); sent = true }
        :: atomic { breaks > 0 -> breaks--; server_run_batch(b); sent = true; lost = true }
        :: atomic { breaks > 0 -> breaks--; sent = true; lost = true }
#ifdef LATE_BATCH
        :: atomic { breaks > 0 && late_session == NOBODY ->
            breaks--; sent = true; lost = true;
            late_session = batches[b].session;
            late_number = batches[b].number;
            for (d : 0 .. DRIVERS - 1) { late_op[d] = batches[b].op_number[d] }
            d = 0 }
#endif
        fi;
        batches[b].arrived = true;
        atomic {
            if
            :: !batches[b].under_way -> goto begin /* its process ended */
            :: else
            fi;
            if
            :: lost && !again && somebody_here(b) && may_resend(b) ->
                again = true;
                batches[b].arrived = false;
                goto send
#ifdef MUTANT_RESENT_WITHOUT_LIMIT
            :: lost && again -> batches[b].number = next_number[batches[b].session];
                next_number[batches[b].session]++; goto send
#endif
            :: lost && (again || !somebody_here(b) || !may_resend(b)) -> /* batch_lost */
                for (d : 0 .. DRIVERS - 1) {
                    if
                    :: batches[b].op_number[d] != 0 -> end_waiter(b, d, UNKNOWN, CLOSED)
                    :: else
                    fi
                }
#ifdef MUTANT_REPEAT_BELIEVED
            :: !lost ->
#else
            :: !lost && ((!again && !was_let_go(b)) || all_stored) -> /* BATCH_ANSWERED */
#endif
                for (d : 0 .. DRIVERS - 1) {
                    if
                    :: batches[b].op_number[d] != 0 ->
#ifdef MUTANT_REPEAT_BELIEVED
                        if /* as MongoDB 4.4 answers a repeat */
                        :: again -> result[d] = STORED
                        :: else
                        fi;
#endif
                        end_waiter(b, d, DONE, result[d])
                    :: else
                    fi
                }
#ifndef MUTANT_REPEAT_BELIEVED
            :: !lost && (again || was_let_go(b)) && !all_stored -> /* BATCH_FIND_OUT */
                for (d : 0 .. DRIVERS - 1) {
                    if
                    :: batches[b].op_number[d] != 0 -> end_waiter(b, d, UNKNOWN, CLOSED)
                    :: else
                    fi
                }
#endif
            fi;
            d = 0;
            batch_end(b)
        }
    od;
end_merger:
    skip
}

#ifdef MUTANT_ANSWERED_EARLY
#define may_answer_early true
#else
#define may_answer_early false
#endif

/* What merger_submit does with the insert `n` of driver d. */
inline submit(d, n, direct, ask)
{
    direct = false;
    ask = false;
    if
    :: table[d].state == NOTHING -> /* an unknown session: it may be a retry */
#ifdef MUTANT_UNKNOWN_SESSION_MERGED
        table[d].state = PENDING; table[d].number = n; table[d].session = NOBODY;
        group[d] = n; at_proxy[d] = WAITER
#else
        table[d].state = DIRECT; table[d].number = n; direct = true
#endif
    :: table[d].state != NOTHING && (n > table[d].number ||
                                    (n == table[d].number && table[d].state == UNSENT)) ->
        table[d].number = n;
        if
        :: table[d].state = DIRECT; direct = true /* nothing of its key is in flight */
        :: table[d].state = PENDING; table[d].session = NOBODY; group[d] = n; at_proxy[d] = WAITER
        fi
    :: table[d].state == DIRECT && n <= table[d].number -> direct = true
    :: table[d].state == PENDING && n == table[d].number ->
#ifdef MUTANT_PENDING_FORWARDED
        direct = true
#else
        at_proxy[d] = WAITING_RETRY
#endif
    :: table[d].state == DONE && n == table[d].number ->
#ifdef MUTANT_DONE_FORWARDED
        direct = true
#else
        told[d] = table[d].reply
#endif
    :: table[d].state == UNKNOWN && n == table[d].number ->
#ifdef MUTANT_UNKNOWN_MERGED
        table[d].state = PENDING; table[d].session = NOBODY; group[d] = n; at_proxy[d] = WAITER
#else
        table[d].state = PENDING; ask = true
#endif
    :: table[d].state != NOTHING && table[d].state != DIRECT && n < table[d].number ->
        told[d] = OLD
    fi
}

/* The client of a waiting insert leaves. */
inline leave(d)
{
    if
    :: at_proxy[d] == WAITER && waits_in[d] == NOBODY -> group[d] = 0; table[d].state = UNSENT
    :: at_proxy[d] == WAITER && waits_in[d] != NOBODY -> batches[waits_in[d]].here[d] = false
    :: else
    fi;
    at_proxy[d] = AWAY;
    waits_in[d] = NOBODY
}

#ifdef HANGS
#define is_stalled(d) true
#else
#define arrived_for(b, d)                                                                          \
    (batches[b].under_way && batches[b].session == table[d].session && batches[b].arrived)
#define is_stalled(d) (arrived_for(0, d) || arrived_for(1, d)) /* the answer is late */
#endif

/* batch_let_go: after a long stall a retry does not wait for the batch's answer. */
inline stop_waiting(d)
{
    byte h;
    for (h : 0 .. BATCHES - 1) {
        if
        :: batches[h].under_way && batches[h].op_number[d] == table[d].number &&
           batches[h].session == table[d].session && !batches[h].here[d] ->
            batches[h].let_go[d] = true;
            table[d].state = UNKNOWN;
            answer_driver(d, CLOSED) /* it is submitted again */
        :: else
        fi
    }
    h = 0
}

/* Sends and may lose it. `run` executes at the server. */
#define send_and_run(run, answer)                                                                  \
    if                                                                                             \
    :: atomic { run }                                                                              \
    :: atomic { breaks > 0 -> breaks--; run; answer = CLOSED }                                     \
    :: atomic { breaks > 0 -> breaks--; answer = CLOSED }                                          \
    fi

byte answered[DRIVERS]; /* the highest number that has its answer */

proctype Driver(byte d)
{
    byte n = 1;
    byte tries;
    bool direct, ask;
    mtype answer;
    byte p, batch_number;
    do
    :: n > OPS -> break
    :: else ->
        tries = 0;
    attempt:
        answer = NONE;
        atomic {
            tries++;
            submit(d, n, direct, ask);
            if
            :: ask -> p = table[d].session; batch_number = table[d].batch_number
            :: else
            fi
        };
        if
        :: direct ->
            send_and_run(server_run_own(d, n, answer), answer)
        :: ask ->
#ifdef NO_STATEMENTS
            send_and_run(server_store(op(d, n), answer), answer);
#else
            send_and_run(server_run_statement(p, batch_number, d, n, answer), answer);
#endif
            atomic {
                if /* the op's end, unless the table has a newer insert or is a new process's */
                :: table[d].state == PENDING && table[d].number == n &&
                   table[d].session == p && table[d].batch_number == batch_number ->
                    if
                    :: answer == CLOSED -> table[d].state = UNKNOWN
                    :: else -> table[d].state = DONE; table[d].reply = answer
                    fi
                :: else
                fi
            }
        :: !direct && !ask ->
            if
            :: atomic { told[d] != NONE -> answer = told[d]; told[d] = NONE }
            :: atomic { told[d] == NONE && breaks > 0 -> /* the client's connection breaks */
                breaks--; leave(d); answer = CLOSED }
#ifdef STALLS
            :: atomic { at_proxy[d] == WAITING_RETRY && is_stalled(d) -> stop_waiting(d); answer = told[d]; told[d] = NONE }
#endif
#ifdef MUTANT_ANSWERED_EARLY
            :: atomic { at_proxy[d] == WAITER -> leave(d); answer = STORED }
#endif
            fi
        fi;
        atomic {
            assert(answer != STORED || times[op(d, n)] == 1);  /* acknowledged means stored */
            assert(answer != REFUSED || times[op(d, n)] == 0); /* refused means not stored */
            assert(answer != STORED || !time_is_wrong(d, n));
#ifdef MANY
            assert(!has_second(d, n) || answer == CLOSED || second != STORED || second_ran);
#endif
            assert(answer != OLD); /* drivers never go back */
            refused[op(d, n)] = (answer == REFUSED);
            if
            :: answer != CLOSED -> answered[d] = n
            :: else
            fi
        };
        if
        :: answer == CLOSED && tries <= BREAKS -> goto attempt
        :: else
        fi;
        n++
    od;
    atomic {
        ended++;
        over = (ended == DRIVERS)
    }
}

#ifdef LATE_BATCH
/* The batch that hung in the network arrives; nobody gets its answer. */
proctype Late()
{
    byte d;
    mtype ignored;
    if
    :: atomic { late_session != NOBODY ->
        for (d : 0 .. DRIVERS - 1) {
            if
            :: late_op[d] != 0 ->
                server_run_statement(late_session, late_number, d, late_op[d], ignored)
            :: else
            fi
        }
        d = 0 }
    :: over
    fi
}
#endif

#ifdef REMOVE
/* Somebody removes the document that all may insert. */
proctype Remover()
{
    byte left = 1;
    do
    :: atomic { left > 0 && owner[0] != 0 -> owner[0] = 0; left-- }
    :: over -> break
    od
}
#endif

#ifdef LATE_UPDATE
/* An update of driver 0 with a number between its first and its second insert hung in the network. */
proctype Update()
{
    if
    :: atomic { own_last[0] < 2 -> /* else the server refuses it: it is too old */
        assert(answered[0] < 2) }
    :: over
    fi
}
#endif

#ifdef PROXY_ENDS
/* The process ends: clients are closed, the table is empty. What was sent may run. */
proctype Ending()
{
    byte d, b;
    if
    :: over
    :: atomic { !over ->
        for (d : 0 .. DRIVERS - 1) {
            if
            :: at_proxy[d] != AWAY -> group[d] = 0; answer_driver(d, CLOSED)
            :: else
            fi;
            table[d].state = NOTHING;
            table[d].number = 0
        }
        for (b : 0 .. BATCHES - 1) {
            batches[b].under_way = false;
            for (d : 0 .. DRIVERS - 1) {
                batches[b].op_number[d] = 0;
                batches[b].here[d] = false
            }
        }
        d = 0; b = 0 }
    fi
}
#endif

init
{
    byte o;
    atomic {
        for (o : 0 .. DRIVERS * OPS - 1) {
            if /* an _id of its own, or the one that others insert as well */
            :: id_of[o] = o + 1
            :: id_of[o] = 0
            fi
        }
        for (o : 0 .. BATCHES - 1) { run Merger(o) }
        for (o : 0 .. DRIVERS - 1) { run Driver(o) }
#ifdef PROXY_ENDS
        run Ending();
#endif
#ifdef LATE_BATCH
        run Late();
#endif
#ifdef REMOVE
        run Remover();
#endif
#ifdef LATE_UPDATE
        run Update();
#endif
        o = 0
    }
}
