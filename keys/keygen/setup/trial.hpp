// The daemon on trial: started, watched until it is confirmed, and ended.
#pragma once

#include <string>

#include "common/clock.hpp"
#include "common/fd.hpp"
#include "common/result.hpp"
#include "keys/keygen/setup/programs.hpp"
#include "keys/keygen/setup/terminal.hpp"

namespace oneknock::keygen {

class Trial {
public:
    // `socket` is the daemon's control socket.
    [[nodiscard]] static Result<Trial> start(const std::string& daemon, const std::string& config, Seconds time,
                                             const std::string& socket);

    // Until the services are closed and knocks are heard. A daemon that ends before has said why.
    [[nodiscard]] Result<void> await_ready(const Terminal& terminal);

    // Until it is confirmed: by `oneknockctl confirm` anywhere, or by "yes" on this terminal once a knock has been
    // accepted. Errors: it was not in time, or the person has broken off.
    [[nodiscard]] Result<void> await_confirmation(const Terminal& terminal);

    // Ends the daemon, if it runs. One that was not confirmed takes its guard away by itself; true: this one may have
    // left it.
    bool stop_and_look();

    [[nodiscard]] RunningProgram& daemon() { return daemon_; }

private:
    enum class Event : std::uint8_t { told, answered };
    Trial(RunningProgram daemon, Descriptor manager, std::string socket)
        : daemon_(std::move(daemon)), manager_(std::move(manager)), socket_(std::move(socket)) {}
    [[nodiscard]] Result<Event> wait(const Terminal& terminal, bool for_answers);
    void hear();
    [[nodiscard]] Result<void> confirm() const;

    RunningProgram daemon_;
    Descriptor manager_;  // where it tells how it is, as a service manager is told
    std::string socket_;
    bool ready_ = false, confirmed_ = false;
    std::optional<int> status_;
};

}  // namespace oneknock::keygen
