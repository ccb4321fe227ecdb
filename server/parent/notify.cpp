#include "server/parent/notify.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.hpp"
#include "common/text.hpp"
#include "common/trial.hpp"
#include "common/unix_datagrams.hpp"

namespace oneknock {
namespace {

constexpr int longest_wait_ms = 5000;  // for room in the service manager's queue; it gives us longer than that

void cannot_tell(const std::string& why) {
    log::warning("the service manager cannot be told that the daemon is ready (NOTIFY_SOCKET): " + why);
}

Descriptor connect_to_manager() {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || *path == '\0') return {};
    if (*path != '/' && *path != '@') {
        cannot_tell("it is neither a path nor the name of an abstract socket");
        return {};
    }
    Descriptor fd = connect_datagrams(path);
    if (!fd) cannot_tell(std::strerror(errno));
    return fd;
}

std::optional<long long> number_in(const char* variable) {
    const char* const text = std::getenv(variable);
    if (text == nullptr) return std::nullopt;
    long long number = 0;
    const std::string_view view(text);
    const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), number);
    if (error != std::errc{} || end != view.data() + view.size()) return std::nullopt;
    return number;
}

// sd_watchdog_enabled(3); the variables may be another process's.
std::optional<Instant> watchdog_time() {
    if (const auto process = number_in("WATCHDOG_PID"); process && *process != getpid()) return std::nullopt;
    const auto microseconds = number_in("WATCHDOG_USEC");
    if (!microseconds || *microseconds <= 0) return std::nullopt;
    return std::chrono::microseconds{*microseconds};
}

}  // namespace

ServiceManager ServiceManager::connect() {
    ServiceManager manager;
    manager.fd_ = connect_to_manager();
    if (const auto time = watchdog_time(); time && manager.fd_) manager.life_interval_ = *time / 3;
    return manager;
}

void ServiceManager::tell_ready(const std::string& status) const {
    if (!fd_) return;
    pollfd room{fd_.get(), POLLOUT, 0};
    poll(&room, 1, longest_wait_ms);
    const std::string state = "READY=1\nSTATUS=" + status;
    if (send(fd_.get(), state.data(), state.size(), MSG_NOSIGNAL) < 0) cannot_tell(std::strerror(errno));
}

void ServiceManager::tell_status(const std::string& status) const { tell("STATUS=" + status); }
void ServiceManager::tell_stopping() const { tell("STOPPING=1\nSTATUS=stopped; the firewall's table stays"); }
void ServiceManager::tell_alive() const { tell("WATCHDOG=1"); }
void ServiceManager::tell_confirmed() const { tell(trial_confirmed); }

void ServiceManager::tell(const std::string& state) const {
    if (fd_) static_cast<void>(send(fd_.get(), state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

std::string status_text(FirewallMode mode, const std::vector<Service>& services, bool on_trial) {
    const std::string names = join(services, &Service::text);
    const std::string what = mode == FirewallMode::guard ? "closed to whoever has not knocked: " + names
                                                         : "opens to whoever knocks: " + names;
    return on_trial ? what + "; on trial, until: oneknockctl confirm" : what;
}

}  // namespace oneknock
