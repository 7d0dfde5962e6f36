/* A library for LD_PRELOAD that ends its process with SIGKILL at one exact fsync. It changes nothing else, and the
 * children of its process know nothing of it.
 *
 *   CUTOVER_KILL_AT=n              which call of fsync or fdatasync, counted from 1 over all threads
 *   CUTOVER_KILL_WHEN=before|after whether the n-th call is carried out before the end (default: before)
 *   CUTOVER_KILL_DELAY_MS=d        the end comes d milliseconds after that moment, wherever the process is by then
 *   CUTOVER_KILL_FILE=words        only calls about files whose path contains these words are counted for CUTOVER_KILL_AT
 *   CUTOVER_KILL_TRACE=file        one line per call: its number, milliseconds since the start, the file it is about
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long kill_at;
static int is_after;
static long delay_ms;
static const char *kill_file;
static atomic_long calls;
static atomic_long chosen;
static int trace = -1;
static struct timespec begun;

__attribute__((constructor)) static void read_and_forget(void) {
    const char *at = getenv("CUTOVER_KILL_AT");
    const char *when = getenv("CUTOVER_KILL_WHEN");
    const char *delay = getenv("CUTOVER_KILL_DELAY_MS");
    kill_at = at ? atol(at) : 0;
    is_after = when && strcmp(when, "after") == 0;
    delay_ms = delay ? atol(delay) : 0;
    const char *words = getenv("CUTOVER_KILL_FILE");
    kill_file = words ? strdup(words) : NULL;
    const char *file = getenv("CUTOVER_KILL_TRACE");
    trace = file ? open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    unsetenv("CUTOVER_KILL_TRACE");
    unsetenv("CUTOVER_KILL_FILE");
    unsetenv("LD_PRELOAD");
    unsetenv("CUTOVER_KILL_AT");
    unsetenv("CUTOVER_KILL_WHEN");
    unsetenv("CUTOVER_KILL_DELAY_MS");
}

static void end(void) {
    if (delay_ms > 0) {
        /* The kernel itself sends the signal: no thread of ours stands in the process that is tried. */
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
        struct itimerspec once = {.it_value = {.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000}};
        timer_t timer;
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0) {
            return;
        }
    }
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

static void path_of(int descriptor, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
}

static int is_counted(int descriptor) {
    char path[4096];
    if (!kill_file) {
        return 1;
    }
    path_of(descriptor, path, sizeof path);
    return strstr(path, kill_file) != NULL;
}

static void note(long number, int descriptor) {
    char path[4096], line[4200];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long since = (now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000;
    path_of(descriptor, path, sizeof path);
    int written = snprintf(line, sizeof line, "%ld %ld %s\n", number, since, path);
    /* One write per line: lines of two threads do not mix. A trace that cannot be written shows in the test. */
    if (write(trace, line, (size_t)written) < 0) {
        trace = -1;
    }
}

static int counted(const char *name, int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    long number = atomic_fetch_add(&calls, 1) + 1;
    int is_the_one = is_counted(descriptor) && atomic_fetch_add(&chosen, 1) + 1 == kill_at;
    if (trace >= 0) {
        note(number, descriptor);
    }
    if (is_the_one && !is_after) {
        end();
    }
    int result = real(descriptor);
    if (is_the_one && is_after) {
        end();
    }
    return result;
}

int fsync(int descriptor) {
    return counted("fsync", descriptor);
}

int fdatasync(int descriptor) {
    return counted("fdatasync", descriptor);
}
