// What a program does from its first instruction to its first packet: start_up PROGRAM [ARGUMENT...]
//
// Starts it twice under ptrace(2) and ends it each time where it calls sendmmsg, so that nothing is sent: once from
// system call to system call, for these and the page faults, and once instruction by instruction, for those that ask
// the processor what it is (CPUID). In a virtual machine the hypervisor answers each of these; how long that takes is
// measured as well. One line of JSON.
#include <cpuid.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace {

constexpr long cpuid_bytes = 0xa20f, syscall_bytes = 0x050f;  // little-endian

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

// Minor and major, since the program was started.
long page_faults(pid_t pid) {
    char name[64];
    std::snprintf(name, sizeof name, "/proc/%d/stat", pid);
    std::FILE* file = std::fopen(name, "r");
    long minor = 0, major = 0;
    if (file == nullptr ||
        std::fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %ld %*d %ld", &minor, &major) != 2)
        fail(name);
    std::fclose(file);
    return minor + major;
}

class Traced {
public:
    explicit Traced(char** words) : pid_(fork()) {
        if (pid_ == 0) {
            ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            execv(words[0], words);
            fail(words[0]);
        }
        wait_for_stop();
        ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL);
    }
    ~Traced() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Traced(const Traced&) = delete;
    Traced& operator=(const Traced&) = delete;

    void go_on(decltype(PTRACE_SYSCALL) how) {
        if (ptrace(how, pid_, nullptr, nullptr) != 0) fail("ptrace");
        wait_for_stop();
    }
    [[nodiscard]] user_regs_struct registers() const {
        user_regs_struct registers{};
        ptrace(PTRACE_GETREGS, pid_, nullptr, &registers);
        return registers;
    }
    // The first two bytes of the instruction that comes next.
    [[nodiscard]] long instruction(const user_regs_struct& at) const {
        return ptrace(PTRACE_PEEKTEXT, pid_, at.rip, nullptr) & 0xffff;
    }
    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    void wait_for_stop() const {
        int status = 0;
        if (waitpid(pid_, &status, 0) != pid_ || !WIFSTOPPED(status)) {
            std::fprintf(stderr, "the program has ended without a packet\n");
            std::exit(1);
        }
    }

    pid_t pid_;
};

std::pair<long, long> calls_and_faults(char** words) {
    Traced program(words);
    const long before = page_faults(program.pid());
    for (long calls = 0;; ++calls) {
        program.go_on(PTRACE_SYSCALL);
        if (program.registers().orig_rax == SYS_sendmmsg) return {calls, page_faults(program.pid()) - before};
        program.go_on(PTRACE_SYSCALL);
    }
}

std::pair<long, long> instructions_and_cpuids(char** words) {
    Traced program(words);
    long cpuids = 0;
    for (long instructions = 0;; ++instructions) {
        const user_regs_struct at = program.registers();
        const long next = program.instruction(at);
        if (next == cpuid_bytes) ++cpuids;
        if (next == syscall_bytes && at.rax == SYS_sendmmsg) return {instructions, cpuids};
        program.go_on(PTRACE_SINGLESTEP);
    }
}

double microseconds_a_cpuid() {
    constexpr int times = 1000;
    unsigned a = 0, b = 0, c = 0, d = 0;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) __cpuid(0, a, b, c, d);
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / times;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "start_up PROGRAM [ARGUMENT...]\n");
        return 64;
    }
    cpu_set_t one;  // taking turns a million times is quickest there
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    const auto [calls, faults] = calls_and_faults(argv + 1);
    const auto [instructions, cpuids] = instructions_and_cpuids(argv + 1);
    std::printf(
        "{\"system_calls\": %ld, \"page_faults\": %ld, \"instructions\": %ld, \"cpuids\": %ld, "
        "\"us_a_cpuid\": %.2f}\n",
        calls, faults, instructions, cpuids, microseconds_a_cpuid());
}
