// The gatekeeper's parts with the ends of its channels that the other rooms have.
#pragma once

#include <optional>
#include <utility>

#include "server/gatekeeper/control/commands.hpp"
#include "server/gatekeeper/grants/grant_requests.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/home.hpp"

namespace oneknock::fuzz {

class GatekeeperParts {
public:
    static constexpr Limits limits{Seconds{60}, Seconds{30}, Seconds{3600}, Seconds{86400}};

    explicit GatekeeperParts(Descriptor control_socket)
        : decider(make_decider()),
          grants(own_parent_, decider.record(),
                 [this](const auto& client, const auto& service) {
                     return decider.longest_for(client, service, now.wall);
                 }),
          control(std::move(control_socket),
                  {own_listener_, own_parent_, decider, grants, decisions_, times_, problems}) {
        control.begin(now.steady);
    }
    GatekeeperParts(const GatekeeperParts&) = delete;
    GatekeeperParts& operator=(const GatekeeperParts&) = delete;

    void judge(const Candidate& candidate) {
        for (const Decision& decision : decider.decide_and_record({candidate}, now)) {
            if (decision.refused) decisions_.refused(decision, *decision.refused, now.steady);
            else if (!grants.request(decision, {}, now.steady))
                decisions_.refused(decision, Reason::firewall_failed, now.steady);
        }
    }
    void take(const GrantReply& reply) {
        if (const auto knock = grants.answer_to_knock(reply, now.steady)) return times_.add(knock->moments);
        if (const auto revocation = grants.answer_to_close(reply, now.steady)) control.handle(*revocation);
    }

private:
    static Decider make_decider() {
        Verifier verifier(keyring());
        verifier.set_epochs({epoch_of(noon)});
        auto record = Record::open("", home().id, {}, limits.tolerance);
        auto audit = Audit::open("", noon);
        HOLDS(record && audit);
        return {std::move(verifier), std::move(*record), std::move(*audit), limits};
    }

    std::pair<Channel, Channel> parent_pair_ = *Channel::make_pair(), listener_pair_ = *Channel::make_pair();
    Channel& own_parent_ = parent_pair_.first;
    Channel& own_listener_ = listener_pair_.first;
    DecisionLog decisions_;
    KnockLatency times_;

public:
    Now now{noon, Seconds{1000}};
    Channel& parent = parent_pair_.second;
    Channel& listener = listener_pair_.second;
    Decider decider;
    KeyProblems problems;
    GrantRequests grants;
    ControlCommands control;
};

// Of alice or another client, to open or close what it may.
[[nodiscard]] inline Candidate candidate_of(const Member& member, const Address& source, bool opens,
                                            std::uint8_t number) {
    Request request;
    request.operation = static_cast<std::uint8_t>(opens ? Operation::open : Operation::close);
    request.protocol = home().services.at(member.allow[0]).protocol;
    request.port = home().services.at(member.allow[0]).port;
    request.address = source;
    request.time = static_cast<std::uint32_t>(noon.time_since_epoch().count());
    request.nonce[0] = number;
    const Secret32 secret = secret_of(member.fill);
    Candidate candidate;
    candidate.epoch = epoch_of(noon).value;
    candidate.door_generation = 1;
    candidate.source = source;
    candidate.message =
        seal(request, derive_message_keys(secret), home().id, hint_for(derive_hint_key(secret), epoch_of(noon)));
    return candidate;
}

}  // namespace oneknock::fuzz
