/* Group commit on SQLite (db_group.c), for Spin: three requests at one verifier, which take turns in one transaction,
 * each in a savepoint of its own, are committed together, and are answered then. Two jobs, whose claims are the
 * members' own: what completion.pml shows about epochs is not shown again.
 *
 * variable               in the code
 * state[j], recorded[j]  the committed row of the job (completed_at) and its row of completions
 * seen[j], wrote[j]      the same as the group's connection sees them, with what its members wrote
 * kept_state, kept_row   what ROLLBACK TO brings back (db_group.c: undo)
 * in_transaction         the connection's transaction is open: nobody else writes
 * one, at                who has the turn, and how far it and the group are (enter, await_commit, commit_all)
 * phase[m], verdict[m]   a request: WAITING in the queue, HAS_TURN, RUN (released), ANSWERED; ledger.c's verdict
 *
 * Abstracted: SQL, files, the gate, DB_ALONE; the group ends at any moment at which nobody has the turn; the first
 * member has a savepoint, too. An error of a statement ends the statement, or (FULL, IOERR, NOMEM, BUSY, INTERRUPT)
 * the whole transaction. That a member stops waiting and the group commits later is in completion.pml. */
#define MEMBERS 3
#ifdef FAULTS
byte faults = FAULTS;
#define FAULT(possible) (faults > 0 && (possible)) -> faults--
#else
#define FAULT(possible) (possible)
#endif
#define JOB(m) (m & 1) /* members 0 and 2 are copies of one completion */

mtype = { OPEN, DONE, FAILED };
mtype = { IDLE, WAITING, HAS_TURN, RUN, ANSWERED };          /* phase */
mtype = { NONE, DONE_NOW, REPLAY, GONE, BUSY };             /* verdict */
mtype = { REST, RUNNING, CLOSED, COMMITTING, UNKNOWN, ANSWERING }; /* at */

mtype state[2] = OPEN, seen[2] = OPEN, kept_state = OPEN;
bool recorded[2], wrote[2], kept_row, in_transaction;
mtype phase[MEMBERS] = IDLE, verdict[MEMBERS] = NONE, at = REST;
byte one; /* the member that runs */

#define ANY(what) (phase[0] == what || phase[1] == what || phase[2] == what)

inline choose(m, what)
{
    if
    :: phase[0] == what -> m = 0
    :: phase[1] == what -> m = 1
    :: phase[2] == what -> m = 2
    fi
}

inline show_committed() { seen[0] = state[0]; seen[1] = state[1]; wrote[0] = recorded[0]; wrote[1] = recorded[1] }

inline classify(m, row)
{
    if
    :: row == DONE -> verdict[m] = REPLAY
    :: row == FAILED -> verdict[m] = GONE
    :: else -> verdict[m] = NONE
    fi
}

inline answer(m)
{
    printf("member %d: is answered %e\n", m, verdict[m]);
    if
    :: verdict[m] == DONE_NOW || verdict[m] == REPLAY ->
        assert(state[JOB(m)] == DONE && recorded[JOB(m)]) /* P1: a 200 means that the completion is committed, whole */
    :: verdict[m] == GONE ->
        assert(state[JOB(m)] == FAILED) /* P3: a final refusal is true */
    :: else
    fi;
    phase[m] = (verdict[m] == BUSY -> IDLE : ANSWERED); verdict[m] = NONE
}

inline all_busy()
{
    for (i : 0 .. MEMBERS - 1) {
        if
        :: phase[i] == HAS_TURN || phase[i] == RUN -> phase[i] = RUN; verdict[i] = BUSY
        :: else
        fi
    }
}

inline take_effect() /* COMMIT */
{
    printf("leader: COMMIT\n");
    for (i : 0 .. 1) {
        assert(seen[i] == state[i] || state[i] == OPEN); /* P6: what is closed stays as it is */
        assert((seen[i] == DONE) == wrote[i]);           /* P2: a whole effect or none */
        state[i] = seen[i]; recorded[i] = wrote[i]
    }
    in_transaction = false
}

proctype member(byte m)
{
end:
    do
    :: atomic { phase[m] == IDLE -> classify(m, state[JOB(m)]); /* store_complete_read, on a connection of its own */
        if
        :: verdict[m] != NONE -> answer(m)
        :: else -> phase[m] = WAITING
        fi }
    :: atomic { phase[m] == RUN && at == ANSWERING -> answer(m) }
#ifdef MUTANT_answered_in_the_group
    :: atomic { phase[m] == RUN && at != ANSWERING -> answer(m) }
#endif
#ifdef MUTANT_replay_answered_in_the_group
    :: atomic { phase[m] == RUN && at != ANSWERING && verdict[m] == REPLAY -> answer(m) }
#endif
    /* Its answer is lost: it presents again. */
    :: atomic { FAULT(phase[m] == ANSWERED) -> phase[m] = IDLE }
    od
}

proctype leader()
{
    byte i;
end:
    do
    :: atomic { at == REST && ANY(WAITING) -> /* BEGIN IMMEDIATE */
        choose(one, WAITING); phase[one] = HAS_TURN; show_committed(); in_transaction = true; at = RUNNING }
    :: atomic { at == RUNNING && ANY(WAITING) && !ANY(HAS_TURN) -> choose(one, WAITING); phase[one] = HAS_TURN }
    :: atomic { at == RUNNING && ANY(HAS_TURN) ->
        kept_state = seen[JOB(one)]; kept_row = wrote[JOB(one)]; /* SAVEPOINT */
        classify(one, seen[JOB(one)]); printf("leader: member %d in its savepoint: %e\n", one, verdict[one]);
        if
        :: verdict[one] != NONE -> phase[one] = RUN /* nothing to write: RELEASE */
        :: else -> seen[JOB(one)] = DONE; at = CLOSED /* the first of its statements */
        fi }
    :: atomic { at == CLOSED -> wrote[JOB(one)] = true; verdict[one] = DONE_NOW; phase[one] = RUN; at = RUNNING } /* RELEASE */
    :: atomic { FAULT(at == CLOSED) -> printf("leader: a statement of member %d fails\n", one);
#ifndef MUTANT_half_an_effect
        seen[JOB(one)] = kept_state; wrote[JOB(one)] = kept_row; /* ROLLBACK TO */
#endif
#ifdef MUTANT_rollback_of_all
        show_committed();
#endif
        verdict[one] = BUSY; phase[one] = RUN; at = RUNNING }
    :: atomic { FAULT(at == CLOSED) -> printf("leader: SQLite rolls back the whole transaction\n");
        show_committed(); in_transaction = false;
#ifdef MUTANT_transaction_gone_unnoticed
        verdict[one] = BUSY; phase[one] = RUN; at = RUNNING
#else
        all_busy(); at = ANSWERING
#endif
        }
    :: atomic { at == RUNNING && !ANY(HAS_TURN) -> at = COMMITTING }
    :: atomic { at == COMMITTING -> take_effect(); at = ANSWERING }
    :: atomic { FAULT(at == COMMITTING) -> printf("leader: COMMIT fails\n");
        show_committed(); in_transaction = false;
#ifdef MUTANT_commit_failure_told_to_the_leader_only
        verdict[one] = BUSY;
#else
        all_busy();
#endif
        at = ANSWERING }
    :: atomic { FAULT(at == COMMITTING) -> printf("leader: the outcome of COMMIT is unknown\n");
        if
        :: take_effect()
        :: show_committed(); in_transaction = false
        fi;
#ifdef MUTANT_unknown_commit_is_success
        at = ANSWERING
#else
        at = UNKNOWN
#endif
        }
    :: atomic { at == UNKNOWN -> /* ledger.c: resolve, for each by itself */
        for (i : 0 .. MEMBERS - 1) {
            if
            :: phase[i] == RUN ->
                classify(i, state[JOB(i)]);
                if
                :: verdict[i] == NONE -> verdict[i] = BUSY
                :: else
                fi
            :: else
            fi
        }
        at = ANSWERING }
    :: atomic { at == ANSWERING && !ANY(RUN) -> at = REST; one = 0; kept_state = OPEN; kept_row = false; show_committed() }
    /* kill -9: SQLite rolls back; whoever waits presents again. */
    :: atomic { FAULT(at != REST || ANY(WAITING)) -> printf("leader: kill -9\n");
        for (i : 0 .. MEMBERS - 1) {
            if
            :: phase[i] == WAITING || phase[i] == HAS_TURN || phase[i] == RUN -> phase[i] = IDLE; verdict[i] = NONE
            :: else
            fi
        }
        at = REST; in_transaction = false; one = 0; kept_state = OPEN; kept_row = false; show_committed() }
    od
}

proctype operator() /* cancels a job, in a transaction of its own */
{
end:
    atomic { !in_transaction && state[0] == OPEN -> state[0] = FAILED; if :: at == REST -> show_committed() :: else fi }
}

init
{
    byte m;
    atomic { for (m : 0 .. MEMBERS - 1) { run member(m) } run leader(); run operator() }
#ifdef FAULTS
    timeout -> for (m : 0 .. MEMBERS - 1) { assert(phase[m] == ANSWERED) } /* P7: nobody waits for ever */
#endif
}
