// Preloaded into the programs under test: their wall clock is the system's plus an offset, which the file named by
// SHIFTED_CLOCK holds in nanoseconds and which may change while they run. Other clocks are left alone.
//
// A change of the offset is no clock that somebody set: timers with TFD_TIMER_CANCEL_ON_SET are not told.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const int64_t second = 1000000000;
static const volatile int64_t* offset;

__attribute__((constructor)) static void find_offset(void) {
    const char* path = getenv("SHIFTED_CLOCK");
    const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void* page = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) offset = page;
    close(fd);
}

static struct timespec shifted(struct timespec time, int64_t by) {
    const int64_t total = (int64_t)time.tv_sec * second + time.tv_nsec + by;
    return (struct timespec){.tv_sec = (time_t)(total / second), .tv_nsec = (long)(total % second)};
}

int clock_gettime(clockid_t clock, struct timespec* now) {
    const long result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && offset != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        *now = shifted(*now, *offset);
    return (int)result;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
    (void)zone;
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t* now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now != NULL) *now = exact.tv_sec;
    return exact.tv_sec;
}

// The programs under test set absolute times on wall clock timers alone.
int timerfd_settime(int fd, int flags, const struct itimerspec* when, struct itimerspec* before) {
    struct itimerspec real = *when;
    const int is_set = when->it_value.tv_sec != 0 || when->it_value.tv_nsec != 0;
    if ((flags & TFD_TIMER_ABSTIME) != 0 && offset != NULL && is_set) real.it_value = shifted(when->it_value, -*offset);
    return (int)syscall(SYS_timerfd_settime, fd, flags, &real, before);
}
