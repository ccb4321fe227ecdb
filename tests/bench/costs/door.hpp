// A door with as many clients as wanted, whose knocks verify.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/protocol/key_schedule.hpp"
#include "common/protocol/knock.hpp"
#include "server/gatekeeper/verify/verifier.hpp"
#include "server/listener/books.hpp"
#include "server/privsep/messages.hpp"

namespace oneknock {

class BenchDoor {
public:
    static constexpr UnixTime noon{Seconds{1'800'001'800}};  // the middle of an hour

    explicit BenchDoor(std::size_t clients);

    static constexpr Service ssh{protocol_tcp, 22};
    [[nodiscard]] std::size_t clients() const { return keys_.size(); }
    [[nodiscard]] Verifier& verifier() { return verifier_; }
    // Takes the verifier out, for a decider.
    [[nodiscard]] Verifier take_verifier() { return std::move(verifier_); }
    [[nodiscard]] Book book() const;

    // A fresh request of one client to open ssh for an address, and its ports and message.
    [[nodiscard]] Request request(const Address& address, UnixTime time = noon) const;
    [[nodiscard]] Knock knock(std::size_t client, const Address& address, UnixTime time = noon) const;
    [[nodiscard]] Candidate candidate(std::size_t client, const Address& address, UnixTime time = noon) const;
    [[nodiscard]] bool verify(const Candidate& candidate) {
        return !verifier_.verify(candidate.message, Epoch{candidate.epoch}).empty();
    }

private:
    [[nodiscard]] static std::vector<Secret32> draw(std::size_t count);
    [[nodiscard]] Keyring keyring() const;

    Secret32 door_secret_ = Secret32::random();
    DoorId id_{{7}};
    PortSpan span_ = *PortSpan::parse("1024-65535");
    std::vector<Secret32> keys_;
    Verifier verifier_;
};

}  // namespace oneknock
