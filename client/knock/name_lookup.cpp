#include "client/knock/name_lookup.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <memory>
#include <type_traits>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/poll.hpp"

namespace oneknock {
namespace {

constexpr Instant longest_question = std::chrono::seconds{5};

// What getaddrinfo() said; as it is through a pipe.
struct Answer {
    int error = EAI_AGAIN;  // EAI_*, 0 for none
    std::size_t count = 0;
    std::array<Endpoint, most_addresses> endpoints{};
};
static_assert(std::is_trivially_copyable_v<Answer> && sizeof(Answer) <= PIPE_BUF);

int address_family(std::optional<Family> family) {
    if (!family) return AF_UNSPEC;
    return *family == Family::ipv4 ? AF_INET : AF_INET6;
}

// Most doors are named by a number, for which getaddrinfo() would read files and open sockets. What has a scope, or is
// of another family, is left to it.
std::optional<Endpoint> numeric_endpoint(const std::string& name, std::optional<Family> family) {
    const auto address = Address::parse(name);
    if (!address || address->is_ipv4_mapped() || address->family != family.value_or(address->family))
        return std::nullopt;
    return Endpoint{*address, 0};
}

Answer ask(const std::string& name, std::optional<Family> family) {
    addrinfo hints{};
    hints.ai_family = address_family(family);
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    Answer answer;
    answer.error = getaddrinfo(name.c_str(), nullptr, &hints, &found);
    if (answer.error != 0) return answer;
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, freeaddrinfo);
    for (const addrinfo* entry = list.get(); entry != nullptr && answer.count < most_addresses;
         entry = entry->ai_next) {
        const auto endpoint = endpoint_of(entry->ai_addr);
        const std::span known(answer.endpoints.data(), answer.count);
        if (endpoint && std::ranges::count(known, *endpoint) == 0) answer.endpoints.at(answer.count++) = *endpoint;
    }
    return answer;
}

Result<std::vector<Endpoint>> endpoints_of(const Answer& answer, const std::string& name) {
    if (answer.error == 0) return std::vector(answer.endpoints.begin(), answer.endpoints.begin() + answer.count);
    return fail(ExitCode::unavailable, "cannot resolve the door's address " + name + ": " + gai_strerror(answer.error) +
                                           "; check the name service, the address in the key file, and -4 or -6");
}

// A server that does not answer makes way for the next one.
void hurry_name_service() {
    if ((_res.options & RES_INIT) == 0 && res_init() != 0) return;
    _res.retrans = std::min(_res.retrans, 2);
    _res.retry = 1;
}

[[noreturn]] void ask_and_tell(const std::string& name, std::optional<Family> family, int tell) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    hurry_name_service();
    const Answer answer = ask(name, family);
    _exit(write(tell, &answer, sizeof answer) == sizeof answer ? 0 : 1);
}

// What the child has said by then; if nothing, that the name service may answer another time.
Answer hear(int heard, Instant deadline) {
    std::array<pollfd, 1> polls{pollfd{heard, POLLIN, 0}};
    while (polls[0].revents == 0 && read_clocks().steady < deadline) poll_until(polls, deadline);
    Answer answer;
    if (polls[0].revents == 0 || read(heard, &answer, sizeof answer) != sizeof answer) return {};
    return answer;
}

}  // namespace

Result<std::vector<Endpoint>> resolve(const std::string& name, std::optional<Family> family) {
    if (const auto numeric = numeric_endpoint(name, family)) return std::vector{*numeric};
    return endpoints_of(ask(name, family), name);
}

Result<std::vector<Endpoint>> resolve_until(const std::string& name, std::optional<Family> family, Instant deadline) {
    if (is_numeric(name)) return resolve(name, family);
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return tl::unexpected(system_error("resolve", name));
    const Descriptor heard(ends[0]);
    Descriptor tell(ends[1]);
    const pid_t pid = fork();
    if (pid == 0) ask_and_tell(name, family, tell.get());
    if (pid < 0) return tl::unexpected(system_error("resolve", name));
    tell.reset();
    const Answer answer = hear(heard.get(), std::min(deadline, read_clocks().steady + longest_question));
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {}
    return endpoints_of(answer, name);
}

}  // namespace oneknock
