// Which address a message names (docs/protocol.md, "Plaintext"), and when the client refuses to name one. Pure.
#pragma once

#include <string>

#include "client/message/knock_settings.hpp"
#include "common/protocol/address.hpp"
#include "common/result.hpp"
#include "keys/source_policy.hpp"

namespace oneknock {

// Refuses --source observed where the client's policy is `same`: the server would refuse each such knock.
[[nodiscard]] Result<void> check_choice(const SourceChoice& choice, const SourcePolicy& policy);

// The ends of a knock as this machine knows them.
struct Route {
    Address local;            // the address the kernel sends from
    Address destination;      // of the same family
    bool on_link = false;     // no router is between the two, so no translator is either
    bool translated = false;  // the destination stands for an IPv4 server behind a NAT64
};

// The family of the message, and so of the address in it: what the server will receive.
[[nodiscard]] Family message_family(const Route& route);

// Whether message_address() looks at Route::on_link; to find it out takes some system calls.
[[nodiscard]] bool depends_on_link(const SourceChoice& choice, const SourcePolicy& policy, const Address& local);

struct MessageAddress {
    Address address;
    std::string warning;  // why the server will probably refuse it; else empty
};

// `auto` is this machine's own address where the server will see it, else "the address you see" if the policy allows
// that, else its own all the same, with a warning where a translator must be between the two. A named address must be
// of the message's family. ExitCode::usage for loopback, and for a NAT64 that the policy does not allow for.
[[nodiscard]] Result<MessageAddress> message_address(const SourceChoice& choice, const SourcePolicy& policy,
                                                     const Route& route);

// Whether a server lets this client open for "the address you see".
[[nodiscard]] bool may_be_observed(const SourcePolicy& policy);

}  // namespace oneknock
