// Which addresses a client may open for, besides the one its packets come from.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/protocol/address.hpp"

namespace oneknock {

class SourcePolicy {
public:
    enum class Mode : std::uint8_t {
        same,      // its packets' source address, named in the message
        observed,  // also "the source address you see" (all zero)
        any,       // whatever address
        network,   // any address of one network
    };

    SourcePolicy() = default;
    [[nodiscard]] static std::optional<SourcePolicy> parse(std::string_view text);  // "same", "observed", "any", a CIDR
    [[nodiscard]] std::string text() const;
    [[nodiscard]] Mode mode() const { return mode_; }

    // The address to open for, given the message's address field and the source of its packets; nothing if the policy
    // or the protocol forbids it (docs/protocol.md, "Plaintext": multicast, loopback, IPv4-mapped).
    [[nodiscard]] std::optional<Address> permitted_address(const Address& asked, const Address& source) const;

    friend bool operator==(const SourcePolicy&, const SourcePolicy&) = default;

private:
    Mode mode_ = Mode::same;
    Network network_{};
};

}  // namespace oneknock
