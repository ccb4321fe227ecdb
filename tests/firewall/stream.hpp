// One connection after the other from the client's 10.77.0.2 to a service that is open for it, in a process of its
// own: what falls into a gap of a change that should have none.
#pragma once

#include <sys/types.h>

#include "tests/firewall/network.hpp"
#include "tests/firewall/sockets.hpp"

namespace oneknock::test {

class ConnectionStream {
public:
    ConnectionStream(const TestNetwork& network, const Descriptor& listener, std::uint16_t port);
    ~ConnectionStream();
    ConnectionStream(const ConnectionStream&) = delete;
    ConnectionStream& operator=(const ConnectionStream&) = delete;

    void accept_all();  // to be called often; or the listener's queue fills up
    [[nodiscard]] int accepted() const { return accepted_; }

    // Ends the stream. Whether every connection came about.
    [[nodiscard]] bool finish();

private:
    const Descriptor& listener_;
    Descriptor stop_;
    pid_t process_ = -1;
    int accepted_ = 0;
};

}  // namespace oneknock::test
