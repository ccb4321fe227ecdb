/* Record, grant, crash and restart, as a model for Spin (https://spinroot.com); `./run model` verifies it.
 *
 * Two knocks of one client for one service and address, so that both are for one element of the kernel's set. Whoever
 * recorded them may bring each of them at any moment and as often as they like, also twice in one turn. The daemon may
 * be killed between any two steps; then what it wrote stays, written to disk or not, and so does the element. The
 * power may fail; then what was not yet written to disk may be lost from any entry on, and the element is gone. The
 * record may be lost as a whole. The clock may be set back by one.
 *
 * What is shown, of every order in which all this may happen:
 *   once      a knock opens at most once
 *   durable   nothing is opened before the tag is on disk
 *   closed    what was closed is not open once the daemon has started again, unless another knock of the client was
 *             recorded since; what was revoked, never
 *
 * What is not in the model: a clock that was set back before the record was lost (docs/threat-model.md, row 12), more
 * than one client, an entry that is damaged but readable (the entries have checksums).
 *
 * Macros leave a protection out, each of which must lead to a counterexample: GRANT_BEFORE_COMMIT, NO_LOOK_UP,
 * NO_FLOOR_AFTER_LOSS, NO_FLOOR_AFTER_PRUNING, ADOPT_ALL, CLOSE_NOT_RECORDED. Others claim what must not be true, so
 * that it is known that the model gets as far: NEVER_OPENS, NEVER_ADOPTS, NEVER_REFUSED_AFTER_LOSS.
 */

#define KNOCKS 2
#define TOLERANCE 1
#define GRANT 2 /* how long one lasts */
#define LAST 4  /* the clock stops there */
#define CRASHES 2
#define ENTRIES 6

#define MADE(knock) (knock + 1) /* the time in the message */
#define CLOSED KNOCKS           /* an entry of the record; the others are the number of a granted knock */
#define NO_KNOCK KNOCKS

byte now = 1;

/* On disk. Entries from `synced` on are written, but may not survive a loss of power. */
byte record[ENTRIES], ends[ENTRIES];
byte length, synced;
byte floor;         /* what was made up to then is refused */
bool is_lost;       /* noticed at the next start, by the mark that is on disk while the record is in use */
bool is_revoked;    /* the client's key */

/* In the kernel: how long the element lasts; 0: there is none. */
byte element;

/* From gatekeeper to firewall, in order. */
mtype = { open, close };
chan requests = [2] of { mtype, byte };

/* What happens to the daemon, and how often yet. */
bool is_dead;
byte crashes;

/* For the properties only. */
byte opened[KNOCKS];
bool is_durable[KNOCKS]; /* it was committed, whatever became of the record */
bool is_closed, is_gone; /* a close is on disk; with the key */
bool was_lost, was_set_back;

inline append(entry, end) {
    assert(length < ENTRIES);
    record[length] = entry;
    ends[length] = end;
    length++
}

/* From the end; what is left behind it is wiped, so that states that mean the same are the same. */
inline cut_entry() {
    length--;
    record[length] = 0;
    ends[length] = 0
}

inline cut_all() {
    do
    :: length > 0 -> cut_entry()
    :: else -> break
    od;
    synced = 0
}

inline look_up(entry, found) {
    d_step {
        found = false;
        i = 0;
        do
        :: i < length -> found = found || record[i] == entry; i++
        :: else -> break
        od;
        i = 0
    }
}

/* fdatasync */
inline commit() {
    d_step {
        synced = length;
        i = 0;
        do
        :: i < length ->
            if
            :: record[i] != CLOSED -> is_durable[record[i]] = true
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

/* --- the firewall ------------------------------------------------------------------------------------------------ */

active proctype firewall() {
    byte knock;
    end: do
    :: atomic {
        requests?open(knock) ->
        assert(is_durable[knock]);   /* durable */
        opened[knock]++;
        assert(opened[knock] <= 1);  /* once */
#ifdef NEVER_OPENS
        assert(opened[0] == 0 || opened[1] == 0);
#endif
        element = GRANT;
        knock = 0
       }
    :: atomic { requests?close(knock) -> element = 0 }
    od
}

/* --- the gatekeeper ---------------------------------------------------------------------------------------------- */

/* What the record says of the element: until when it may last; 0: it may not. */
inline granted_until(end) {
    d_step {
        end = 0;
        i = 0;
        do
        :: i < length ->
            if
            :: record[i] == CLOSED -> end = 0
            :: else -> end = ends[i]
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

inline adopt() {
    atomic {
        granted_until(until);
#ifndef ADOPT_ALL
        if
        :: until <= now -> element = 0
        :: until > now && element > until - now -> element = until - now
        :: else
        fi;
#endif
#ifdef NEVER_ADOPTS
        assert(element == 0);
#endif
        assert(!is_closed || element == 0); /* closed */
        assert(!is_gone || element == 0);
        until = 0
    }
}

inline start() {
    if
    :: atomic {
        is_lost ->
#ifndef NO_FLOOR_AFTER_LOSS
        floor = now + TOLERANCE;
#endif
        is_lost = false
       }
    :: else
    fi;
    adopt()
}

/* Adds the knock to the record, unless it is to be refused; then it becomes NO_KNOCK. */
inline decide(knock) {
    look_up(knock, is_used);
#ifdef NO_LOOK_UP
    is_used = false;
#endif
#ifdef NEVER_REFUSED_AFTER_LOSS
    assert(!(knock != NO_KNOCK && was_lost && !is_used && MADE(knock) <= floor && now <= MADE(knock) + TOLERANCE));
#endif
    if
    :: knock == NO_KNOCK
    :: knock != NO_KNOCK && (is_used || is_revoked || MADE(knock) <= floor || now > MADE(knock) + TOLERANCE ||
                             MADE(knock) > now + TOLERANCE || length + 1 >= ENTRIES) -> knock = NO_KNOCK
    :: else -> append(knock, now + GRANT); is_closed = false
    fi;
    is_used = false
}

inline grant(knock) {
    if
    :: knock != NO_KNOCK -> requests!open(knock)
    :: else
    fi
}

/* Some of what waits: one or two candidates, which may be copies of one. */
inline turn() {
    atomic {
        if :: first = 0 :: first = 1 fi;
        if :: second = NO_KNOCK :: second = 0 :: second = 1 fi;
        decide(first);
        decide(second)
    };
#ifdef GRANT_BEFORE_COMMIT
    grant(first);
    grant(second);
    commit();
#else
    if
    :: commit();
        grant(first);
        grant(second)
    :: skip /* it fails: refused, though the entries may be on disk */
    fi;
#endif
    atomic { first = 0; second = 0 }
}

inline close_grant(with_key) {
    atomic {
        if
        :: with_key -> is_revoked = true
        :: else
        fi;
#ifndef CLOSE_NOT_RECORDED
        append(CLOSED, 0)
#endif
    };
    atomic { commit(); is_closed = true; is_gone = is_revoked };
    requests!close(0)
}

/* Entries of knocks that are too old are forgotten, once a floor that refuses them is on disk. Which ones and which
 * floor follow from one reading of the clock: it may be set back in between. */
inline prune() {
    atomic { now > MADE(KNOCKS - 1) + TOLERANCE && length > 0 ->
#ifndef NO_FLOOR_AFTER_PRUNING
        floor = (now - TOLERANCE - 1 > floor -> now - TOLERANCE - 1 : floor)
#endif
    };
    d_step { cut_all() }
}

active proctype gatekeeper() {
    byte first, second, until, i;
    bool is_used;
    do
    :: {
        start();
        do
        :: turn()
        :: length < ENTRIES && !is_closed -> close_grant(false)
        :: length < ENTRIES && !is_revoked -> close_grant(true)
        :: prune()
        od
       } unless {
        is_dead ->
        /* The firewall may still serve some of what was sent, before it sees that the gatekeeper is gone. */
        do
        :: atomic { nempty(requests) -> requests?_, _ }
        :: atomic { empty(requests) -> break }
        od;
        atomic { first = 0; second = 0; until = 0; i = 0; is_used = false; is_dead = false }
       }
    od
}

/* --- what may happen --------------------------------------------------------------------------------------------- */

active proctype world() {
    end: do
    :: atomic { now < LAST -> now++; element = (element > 0 -> element - 1 : 0) }
    :: atomic { now > 1 && !was_set_back -> now--; was_set_back = true }
    :: atomic { crashes < CRASHES && !is_dead -> crashes++; is_dead = true }
    :: atomic { /* power */
        crashes < CRASHES && !is_dead ->
        crashes++;
        do
        :: length > synced -> cut_entry()
        :: break
        od;
        element = 0;
        do
        :: nempty(requests) -> requests?_, _
        :: empty(requests) -> break
        od;
        is_dead = true
       }
    :: atomic { /* the record */
        crashes < CRASHES && !is_dead && !was_set_back ->
        crashes++;
        cut_all();
        is_lost = true;
        was_lost = true;
        is_dead = true
       }
    od
}
