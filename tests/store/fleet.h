/* fleet: a store whose server side is watched, and hours that pass in milliseconds. */
#ifndef TESTS_FLEET_H
#define TESTS_FLEET_H

#include "store_rig.h"
#include "verifier/store/store_fleet.h"
#include "verifier/store/store_sweep.h"
#include "verifier/store/store_worker.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS };

/* Claims of 30 minutes, offline after 5, grace of 2; the server side has been up for three minutes,
 * led by INSTANCE. */
#define INSTANCE "11111111-1111-4111-8111-111111111111"
#define OTHER    "22222222-2222-4222-8222-222222222222"
struct rig *fleet_new(void);
struct rig *fleet_new_claimed(void); /* and one video, claimed by anna: rig->job */
/* The same with other times, and up for no time at all. */
struct rig *fleet_new_with(int64_t claim_ms, int64_t offline_ms, int64_t grace_ms);
struct store *fleet_open(struct rig *rig); /* one more instance's */

void fleet_pass(struct rig *rig, int64_t ms); /* time, in which nothing happens */
struct store_tick fleet_tick(struct rig *rig, const char *instance);
/* Time, in which the server side gives its signs of life. */
void fleet_stay_up(struct rig *rig, int64_t ms);

/* job 0: it names none. */
void fleet_beat(struct rig *rig, struct store_worker *worker, int64_t job);
void fleet_beat_idle(struct rig *rig, struct store_worker *worker);
/* As a stock worker, which does not say which jobs it has. */
void fleet_beat_stock(struct rig *rig, struct store_worker *worker);

struct store_sweep fleet_sweep(struct rig *rig); /* INSTANCE's; to be given to store_sweep_fini */
/* The same, with what is expected of it: how many claims were released. */
void fleet_sweeps(struct rig *rig, enum store_outcome outcome, size_t released);
/* Of this one claim, for this reason. */
void fleet_releases(struct rig *rig, int64_t job, enum store_reason reason);
bool fleet_is_claimed(struct rig *rig, int64_t job);
int64_t fleet_expires_ms(struct rig *rig, int64_t job);

#endif
