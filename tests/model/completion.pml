/* One job from its claim to the end of every record about it, for Spin: two workers, HANDLERS requests in flight
 * at two instances of the verifier, one database, the sweeper, an operator, and faults without number at every
 * step. run.sh checks it; docs/TESTING.md says what that shows and what it does not.
 *
 * Each `atomic` is one step that the others see whole: one SQL transaction, one durable commit of a record, one
 * message. A crash comes between two of them.
 *
 * variable              in the code
 * state, holder, last   transcoding_jobs: completed_at with the video's status, worker_id, processed_by_worker_id
 *                       (store_job.c: store_job_from_row)
 * epoch                 job_epochs.claim_epoch (store_claim.c: number_claim)
 * fresh                 reopened, started_at is NULL: 1 by `job retry`, 2 by `job retranscode` (store_operation.c)
 * stale                 the claim has expired and its worker is silent (store_release.c: RELEASE_REASON)
 * away                  not in the code: the worker really was, or does not know of the claim
 * recorded[epoch]       completions.token (store_complete.c: write_completion); 0: no row
 * files                 whose renditions are there (files_check.c; store_claim.c: discard_old_output)
 * lock                  the row's (store_job.c: store_lock_job); on SQLite the database's (BEGIN IMMEDIATE)
 * order                 job_epochs.retranscodes, which only the claim of a re-transcode raises (store_claim.c)
 * gate, gate_token      completion_token:JOB:TOKEN in Redis (gate_keeper.c: the scripts); one key, for a former
 *                       token's may be lost as any may
 * rec[w], rec_*[w]      the agent's record on disk (job.c, record.c)
 * got[w]                the answer to a claim that is not on disk yet (claim.c: unrecorded)
 * call[w]               the delivery whose answer the courier waits for (courier.c: post)
 * req_*[h], pc[h]       a request in complete.c: complete_job and ledger.c: tailslate_complete
 *
 * Abstracted: time (a deadline may pass wherever the code has one); the courier's decision and the record's change
 * are one step (a crash between them equals a lost answer), and so are acknowledged and removed; kept work may be
 * gone when it is wanted; one source, rendition and fingerprint; keys; rows 10 to 13; failure reports; a guard is
 * true or false, whatever its SQL. A duplicate is a second presentation while the first is in flight; a request
 * stays in flight for as long as it likes, over any number of claims. By symmetry worker 1 claims first, and a
 * request takes the first handler that is free. */
#ifndef CLAIMS
#define CLAIMS 2 /* of the job, in all */
#endif
#ifndef HANDLERS
#define HANDLERS 2
#endif
#ifndef OPERATIONS
#define OPERATIONS 1 /* of the operator, in all */
#endif
#ifdef FAULTS /* so many in all: to see that everything comes to an end once they stop */
byte faults = FAULTS;
#define FAULT(possible) (faults > 0 && (possible)) -> faults--
#else
#define FAULT(possible) (possible)
#endif

mtype = { OPEN, DONE, FAILED };                                     /* state */
mtype = { NONE, CLAIMED, SEALED, REOPENED, KEPT };                  /* rec */
mtype = { FREE, ARRIVED, PASSED, LOCKED, WRITTEN, UNKNOWN, ANSWERING, COMMITS_LATE }; /* pc */
mtype = { COMMIT, REPLAY, LOST, GONE, MISSING, BUSY, DONE_NOW };    /* verdict */

mtype state = OPEN;
byte holder, last, epoch, fresh, files, lock, recorded[CLAIMS + 1], operations = OPERATIONS;
bool stale, away, outage, grace, chosen;
mtype rec[3] = NONE;
byte rec_epoch[3], rec_token[3], got[3], call[3], tokens;
bool down[3];
mtype pc[HANDLERS] = FREE;
byte req_worker[HANDLERS], req_epoch[HANDLERS], req_token[HANDLERS];
#ifdef GATE
byte gate, gate_token;
#define COMPLETED 99 /* or h + 1: processing by h; 0: no key */
#endif
byte order, order_of[CLAIMS + 1]; /* re-transcodes so far; and by epoch, when its work was begun */
#ifdef MUTANT_claim_without_an_order
#define SAME_ORDER(w) true
#else
#define SAME_ORDER(w) (order_of[rec_epoch[w]] == order_of[got[w]])
#endif

#define LIVE(w)  (rec[w] == CLAIMED || rec[w] == SEALED || rec[w] == REOPENED)
#define HOLDS(w) (got[w] == epoch || (LIVE(w) && rec_epoch[w] == epoch))
#define OVER(w)  (epoch > rec_epoch[w] || last != w || fresh || state == FAILED) /* what a final refusal says */
#define OTHERS(w) (last != w || (holder != 0 && holder != w))
#define FREE_CLAIM holder = 0; stale = false; away = false
#ifdef MUTANT_no_epoch
#define EPOCH_FITS(e) true
#else
#define EPOCH_FITS(e) (e == epoch)
#endif
/* verify.c: HELD or LATE; and the guards of a write, store_private.h: STORE_HOLDER_GUARD. */
#define STANDING(w, e) (state == OPEN && !OTHERS(w) && !fresh && EPOCH_FITS(e))
/* The lock is enough without the guards. The guards are not enough without the lock, for the files are looked at
 * before them. run.sh takes away one, the other, and both. */
#ifdef NO_LOCK
#define LOCK_FREE(h) true
#define TAKE_LOCK(h) skip
#else
#define LOCK_FREE(h) (lock == 0)
#define TAKE_LOCK(h) lock = h + 1
#endif
#if defined(NO_GUARDS) || defined(MUTANT_update_by_id)
#define GUARDS(w, e) true
#else
#define GUARDS(w, e) STANDING(w, e)
#endif
#ifdef MUTANT_late_is_refused
#define REFUSED(w) (OTHERS(w) || (state == OPEN && holder != w))
#else
#define REFUSED(w) OTHERS(w)
#endif
#ifdef MUTANT_sweep_without_grace
#define MAY_RELEASE true
#else
#define MAY_RELEASE (!outage && !grace) /* grace.c: grace_decide */
#endif
#ifdef MUTANT_sweep_from_a_stale_read
#define STILL_RELEASABLE true
#else
#define STILL_RELEASABLE (MAY_RELEASE && state == OPEN && holder != 0 && stale)
#endif

/* ---- the verifier ------------------------------------------------------------------------------------------ */

inline classify(w, e, t, v) /* verify.c: tailslate_verify_completion, without the files */
{
    if
    :: REFUSED(w) || !EPOCH_FITS(e) -> v = LOST
    :: else -> if
        :: state == DONE -> v = REPLAY
        :: state == FAILED -> v = GONE
        :: state == OPEN && (fresh || recorded[e] == t) -> v = LOST
        :: else -> v = COMMIT
        fi
    fi
}

inline take_effect(w, e, t) /* store_complete.c: close_job, write_completion, write_video; others see it at COMMIT */
{
    printf("  handler %d: COMMIT of worker %d, epoch %d, token %d\n", h, w, e, t);
    assert(recorded[epoch] == 0);    /* P2: a claim takes effect once at most */
    assert(state == OPEN);           /* P6: completed is absorbing */
    assert(last == w && e == epoch); /* P4: a superseded claim never wins */
    assert(files == w);              /* P1: what is acknowledged is there, and one encode only */
    assert(order_of[e] == order); /* R: a re-transcode is not answered by the work that it replaces */
    state = DONE; recorded[epoch] = t; FREE_CLAIM
}

inline unlock(h) { if :: lock == h + 1 -> lock = 0 :: else fi }

inline finish(h) { pc[h] = FREE; req_worker[h] = 0; req_epoch[h] = 0; req_token[h] = 0; verdict = COMMIT }

inline gate_enter(h, t, v) /* waits 1 s at most for another's key, then goes on: here, goes on */
{
#ifdef GATE
    if
    :: gate == 0 || gate_token != t -> gate = h + 1; gate_token = t
#ifdef MUTANT_processing_is_200
    :: gate != 0 && gate != COMPLETED && gate_token == t -> v = REPLAY; pc[h] = ANSWERING
#endif
#ifdef MUTANT_gate_is_trusted
    :: gate == COMPLETED && gate_token == t -> v = REPLAY; pc[h] = ANSWERING
#endif
#ifdef MUTANT_gate_refuses
    :: gate != 0 && gate_token == t -> v = BUSY; pc[h] = ANSWERING
#endif
    :: else
    fi
#else
    skip
#endif
}

inline gate_leave(h, t, committed) /* only where the nonce is still ours */
{
#ifdef GATE
    if
    :: gate == h + 1 && gate_token == t -> if :: committed -> gate = COMPLETED :: else -> gate = 0; gate_token = 0 fi
    :: else
    fi
#else
    skip
#endif
}

inline drop(w)
{
    assert(recorded[rec_epoch[w]] != 0 || OVER(w)); /* P3: no finished transcode is lost */
    rec[w] = NONE; rec_epoch[w] = 0; rec_token[w] = 0
}

inline answer(h, w, e, t, v) /* and what the courier does, if it still waits (courier.c: apply; delivery.c) */
{
    printf("  handler %d: answers worker %d, epoch %d, token %d: %e\n", h, w, e, t, v);
    if
    :: v == REPLAY || v == DONE_NOW ->
        assert(recorded[e] != 0); /* P1: a 200 means that a completion of this claim is committed */
        assert(recorded[e] == t)  /* P1: and of this token, for a claim has one token */
    :: else
    fi;
    if
    :: call[w] == h + 1 -> call[w] = 0; if
        :: v == REPLAY || v == DONE_NOW || v == GONE -> drop(w)
        :: v == LOST -> rec[w] = KEPT;
            assert(OVER(w) || recorded[rec_epoch[w]] != 0) /* P5: late is not lost; and a final refusal is true */
        :: v == MISSING -> rec[w] = REOPENED
#ifdef MUTANT_drop_in_progress
        :: v == BUSY -> drop(w)
#else
        :: v == BUSY /* and again, without end */
#endif
        fi
    :: else
    fi
}

#define W req_worker[h]
#define E req_epoch[h]
#define T req_token[h]

proctype handler(byte h)
{
    mtype verdict = COMMIT;
end: do
    :: atomic { pc[h] == ARRIVED -> /* store_complete_read: replays and refusals need neither gate nor lock */
        classify(W, E, T, verdict); printf("  handler %d: read: %e\n", h, verdict);
        if :: verdict == COMMIT -> pc[h] = PASSED; gate_enter(h, T, verdict) :: else -> pc[h] = ANSWERING fi }
    :: atomic { pc[h] == PASSED && LOCK_FREE(h) -> TAKE_LOCK(h); /* ledger.c: work: lock, facts, files */
#ifndef MUTANT_update_by_id
        classify(W, E, T, verdict);
#endif
#ifndef MUTANT_files_not_looked_at
        if :: verdict == COMMIT && files != W -> verdict = MISSING :: else fi;
#endif
        printf("  handler %d: under the lock: %e\n", h, verdict); pc[h] = LOCKED }
    :: atomic { pc[h] == LOCKED && verdict != COMMIT -> unlock(h); gate_leave(h, T, false); pc[h] = ANSWERING }
    :: atomic { pc[h] == LOCKED && verdict == COMMIT && (lock == 0 || lock == h + 1) -> /* store_complete.c: sql_write */
        if
        :: GUARDS(W, E) -> lock = h + 1; pc[h] = WRITTEN; printf("  handler %d: written\n", h)
        :: else -> classify(W, E, T, verdict)
        fi }
#ifdef MUTANT_answer_before_commit
    :: atomic { pc[h] == WRITTEN && call[W] == h + 1 -> answer(h, W, E, T, DONE_NOW) }
#endif
    :: atomic { pc[h] == WRITTEN ->
        take_effect(W, E, T); unlock(h); gate_leave(h, T, true); verdict = DONE_NOW; pc[h] = ANSWERING }
    :: atomic { FAULT(pc[h] == WRITTEN) -> printf("  handler %d: COMMIT fails\n", h);
        unlock(h); verdict = BUSY; pc[h] = ANSWERING;
#ifndef MUTANT_gate_refuses /* that gate is left on success only: known mistake 3 */
        gate_leave(h, T, false)
#endif
        }
    :: atomic { FAULT(pc[h] == WRITTEN) -> printf("  handler %d: the answer to COMMIT is lost\n", h);
        if
        :: take_effect(W, E, T); unlock(h)
        :: unlock(h) /* it never will */
        :: skip      /* it may still do, later */
        fi;
        pc[h] = UNKNOWN }
    :: atomic { pc[h] == UNKNOWN -> classify(W, E, T, verdict); /* ledger.c: resolve, on another connection */
        if :: verdict == REPLAY && recorded[E] == T -> verdict = DONE_NOW :: else -> verdict = BUSY fi;
#ifdef MUTANT_unknown_is_success
        verdict = DONE_NOW;
#endif
        gate_leave(h, T, verdict == DONE_NOW); pc[h] = ANSWERING }
    :: atomic { pc[h] == ANSWERING -> answer(h, W, E, T, verdict);
        if :: lock == h + 1 -> pc[h] = COMMITS_LATE :: else -> finish(h) fi }
    :: atomic { pc[h] == COMMITS_LATE -> if :: take_effect(W, E, T) :: skip fi; unlock(h); finish(h) }
    :: atomic { FAULT(pc[h] == PASSED && lock != 0) -> /* the lock is not had in time */
        gate_leave(h, T, false); verdict = BUSY; pc[h] = ANSWERING }
    :: atomic { FAULT(pc[h] != FREE && pc[h] != COMMITS_LATE) -> printf("  handler %d: kill -9 of its instance\n", h);
        unlock(h); if :: call[W] == h + 1 -> call[W] = 0 :: else fi; finish(h) }
    od
}

/* ---- the agent --------------------------------------------------------------------------------------------- */

inline write_claim(w, to) /* record_claim_accept mints the token; spool_add or record_rebind writes both */
{
    if :: to != CLAIMED -> order_of[got[w]] = order_of[rec_epoch[w]] :: else fi; /* the work is not new */
    rec_epoch[w] = got[w]; got[w] = 0; tokens++; rec_token[w] = tokens;
    call[w] = 0; /* outbox.c: on_claim: an answer in flight is about the former claim */
    rec[w] = to; printf("worker %d: claim of epoch %d on disk, token %d, record %e\n", w, rec_epoch[w], tokens, to)
}

inline present(w, h)
{
#ifdef MUTANT_token_for_each_attempt
    if :: tokens < 2 * CLAIMS + 2 -> tokens++; rec_token[w] = tokens :: else fi;
#endif
    req_worker[h] = w; req_epoch[h] = rec_epoch[w]; req_token[h] = rec_token[w]; pc[h] = ARRIVED; call[w] = h + 1;
    printf("worker %d: presents epoch %d, token %d to handler %d\n", w, rec_epoch[w], rec_token[w], h)
}

proctype worker(byte w)
{
end: do
    :: atomic { !down[w] && !outage && got[w] == 0 && lock == 0 && state == OPEN && holder == 0 && epoch < CLAIMS &&
                (epoch > 0 || w == 1) -> /* store_claim.c: grant; perhaps of a job that the spool holds */
        if :: (last != 0 && last != w) || fresh == 2 -> files = 0 :: else fi; /* discard_old_output */
        holder = w; last = w; epoch++; fresh = 0; got[w] = epoch; order_of[epoch] = order;
        printf("worker %d: granted epoch %d\n", w, epoch) }
    :: atomic { FAULT(lock == 0 && state == OPEN && holder == 0 && last != 0 && last != w && files != 0) ->
        files = 0; printf("worker %d: its claim has moved files, and failed\n", w) }
    :: atomic { !down[w] && got[w] != 0 -> if
        :: rec[w] == NONE -> write_claim(w, CLAIMED)
        :: LIVE(w) && SAME_ORDER(w) -> write_claim(w, rec[w])
        :: rec[w] == KEPT && SAME_ORDER(w) -> write_claim(w, SEALED) /* retained.c: retained_find */
        :: rec[w] == KEPT || !SAME_ORDER(w) -> write_claim(w, CLAIMED)
        fi }
    :: atomic { FAULT(got[w] != 0) -> got[w] = 0; printf("worker %d: the answer to its claim is lost\n", w) }
    :: atomic { !down[w] && (rec[w] == CLAIMED || rec[w] == REOPENED) && lock == 0 -> if
        /* transcode, check, upload (store_job.c: store_upload), seal; or only upload again */
        :: STANDING(w, rec_epoch[w]) -> files = w; holder = w; stale = false; away = false; rec[w] = SEALED;
            printf("worker %d: sealed\n", w)
        :: else -> rec[w] = KEPT
        fi }
    :: atomic { !down[w] && rec[w] == SEALED && call[w] == 0 -> if
        :: pc[0] == FREE -> present(w, 0)
        :: pc[0] != FREE && pc[1] == FREE -> present(w, 1)
#if HANDLERS > 2
        :: pc[0] != FREE && pc[1] != FREE && pc[2] == FREE -> present(w, 2)
#endif
        fi }
    :: atomic { FAULT(call[w] != 0) -> call[w] = 0; printf("worker %d: the answer is lost\n", w) }
    /* Heartbeats and progress keep the claim, and take a released one back (store_job.c: store_extend). */
    :: atomic { !down[w] && !outage && lock == 0 && LIVE(w) && STANDING(w, rec_epoch[w]) && (stale || holder == 0) ->
        holder = w; stale = false; away = false; printf("worker %d: heard\n", w) }
    :: atomic { FAULT(!down[w]) -> down[w] = true; call[w] = 0; got[w] = 0; printf("worker %d: kill -9\n", w);
#ifdef MUTANT_record_in_memory
        if :: rec[w] == SEALED -> drop(w) :: else fi
#endif
        }
    :: atomic { down[w] -> down[w] = false; printf("worker %d: starts again\n", w) }
    od
}

/* ---- time, the sweeper, Redis; the operator ------------------------------------------------------------------ */

proctype server()
{
end: do
    :: atomic { state == OPEN && holder != 0 && !away && (down[holder] || !HOLDS(holder)) -> stale = true; away = true }
    :: atomic { state == OPEN && holder != 0 && !stale && outage -> stale = true; printf("worker %d: not heard\n", holder) }
    :: atomic { FAULT(!outage) -> outage = true; printf("the server side is away\n") }
    :: atomic { outage -> outage = false; grace = true; printf("the server side is back: grace\n") }
    /* It lasts until every live worker was heard: decisions/0014, "Times that are too short are refused". */
    :: atomic { grace && (away || !stale) -> grace = false }
    /* store_sweep.c: choose without locks; then lock, judge, read again, and write with that as guards. */
    :: atomic { !chosen && MAY_RELEASE && state == OPEN && holder != 0 && stale -> chosen = true; printf("sweeper: chosen\n") }
    :: atomic { chosen && lock == 0 -> chosen = false; if
        :: STILL_RELEASABLE -> printf("sweeper: releases worker %d\n", holder);
            assert(state == OPEN); /* P6: a sweep changes no completed job */
            assert(away);          /* P9: no live claim is released */
            FREE_CLAIM
        :: else
        fi }
#ifdef GATE
    :: atomic { FAULT(gate != 0) -> gate = 0; gate_token = 0; printf("redis: the key is gone\n") }
    :: atomic { FAULT(tokens > 0 && gate != COMPLETED) -> gate = COMPLETED; gate_token = tokens; printf("redis: forged\n") }
#endif
    od
}

proctype operator() /* store_operation.c, store_operator.c: each one transaction under the row's lock */
{
end: do
    :: atomic { operations > 0 && lock == 0 -> operations--; if
        :: state == OPEN && fresh != 2 -> state = FAILED; FREE_CLAIM; printf("operator: cancel\n")
        :: state == OPEN && fresh == 2 -> state = DONE; fresh = 0; printf("operator: the re-transcode is taken back\n");
            order--
        :: state == OPEN && holder != 0 -> FREE_CLAIM; printf("operator: release\n")
        :: state == FAILED -> state = OPEN; fresh = (last != 0 -> 1 : 0); printf("operator: retry\n")
        :: state == DONE -> state = OPEN; fresh = 2; printf("operator: retranscode\n");
            order++
        fi }
    od
}

init
{
    byte i;
    atomic {
        for (i : 0 .. HANDLERS - 1) { run handler(i) }
        run worker(1); run worker(2); run server(); run operator()
    }
#ifdef FAULTS
    timeout -> /* nothing can move any more */
        assert(!LIVE(1) && !LIVE(2));             /* P3, P7: every record is resolved */
        assert(state != OPEN || epoch == CLAIMS)  /* and the job has ended, as far as claims go */
#endif
}
