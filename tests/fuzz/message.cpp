// Sealed messages at the verifier and the decider. The plaintext is what the fuzzer made up, sealed with a client's
// key, so that it gets past the seal; then any of it may be changed.
#include <optional>
#include <set>

#include "server/gatekeeper/decide/decider.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/home.hpp"

namespace oneknock::fuzz {
namespace {

constexpr Limits limits{Seconds{60}, Seconds{30}, Seconds{3600}, Seconds{86400}};
constexpr std::size_t most_messages = 16;

class Gatekeeper {
public:
    Gatekeeper() {
        Verifier verifier(keyring());
        verifier.set_epochs({epoch_of(noon)});
        auto record = Record::open("", home().id, {}, limits.tolerance);
        auto audit = Audit::open("", noon);
        HOLDS(record && audit);
        decider_.emplace(std::move(verifier), std::move(*record), std::move(*audit), limits);
    }

    void decide(const Candidate& candidate, const std::optional<Request>& sent, const Member& member) {
        const auto decisions = decider_->decide_and_record({candidate}, now);
        HOLDS(decisions.size() == 1);
        const Decision& decision = decisions[0];
        HOLDS(decision.refused || decision.verified);
        HOLDS(!decision.verified || sent);  // nothing verifies but what was sealed
        if (!decision.verified) return HOLDS(decision.refused == Reason::unknown_key);
        HOLDS(decision.client == member.name && decision.request == *sent);
        if (!decision.refused) check_accepted(decision, candidate, member);
    }

    Now now{noon, Seconds{1000}};

private:
    void check_accepted(const Decision& decision, const Candidate& candidate, const Member& member) {
        const Request& request = decision.request;
        HOLDS(accepted_.insert(candidate.message.tag()).second);  // once
        HOLDS(request.is_open() || request.is_close());
        HOLDS(request.made_at() >= now.wall - limits.tolerance && request.made_at() <= now.wall + limits.tolerance);
        const auto services = home().services;
        HOLDS(std::ranges::any_of(member.allow,
                                  [&](const auto& name) { return services.at(name) == request.service(); }));
        if (request.is_open()) HOLDS(decision.duration >= Seconds{1} && decision.duration <= Seconds{60});
        HOLDS(decision.address.is_canonical() && decision.address.family == candidate.source.family);
        const std::string_view policy = member.source;
        if (policy == "same" || policy == "observed") HOLDS(decision.address == candidate.source);
        HOLDS(!decision.address.is_unspecified() && !decision.address.is_multicast());
    }

    std::optional<Decider> decider_;
    std::set<Tag> accepted_;
};

Address take_address(Input& input, Family family) {
    Address address = Address::any(family);
    input.fill(std::span(address.bytes).first(address.length()));
    return address;
}

// Mostly near what is right, for it is to be accepted now and then.
Request take_request(Input& input, const Address& source) {
    const std::uint8_t unusual = input.u8();
    Request request;
    request.operation = (unusual & 1) != 0 ? input.u8() : static_cast<std::uint8_t>(1 + (unusual >> 7));
    const Service service = (unusual & 2) != 0 ? Service{input.u8(), input.u16()} : (unusual & 64) != 0 ? web : ssh;
    request.protocol = service.protocol;
    request.port = service.port;
    request.duration_s = input.u8();
    request.time = (unusual & 4) != 0
                       ? input.u32()
                       : static_cast<std::uint32_t>(noon.time_since_epoch().count() - 64 + input.u8() / 2);
    request.nonce[0] = input.u8() & 3;
    request.address = (unusual & 8) != 0    ? take_address(input, source.family)
                      : (unusual & 16) != 0 ? Address::any(source.family)
                                            : source;
    return request;
}

struct Sent {
    Candidate candidate;
    std::optional<Request> request;  // unless it was changed on the way
    const Member* member;
};

Sent take_message(Input& input) {
    const std::uint8_t choice = input.u8();
    const Member& member = members[choice % members.size()];
    const Family family = (choice & 4) != 0 ? Family::ipv6 : Family::ipv4;
    const Address source = (choice & 8) != 0        ? take_address(input, family)
                           : family == Family::ipv4 ? *Address::parse("192.0.2.7")
                                                    : *Address::parse("2001:db8::7");
    const Request request = take_request(input, source);
    const Secret32 secret = secret_of(member.fill);
    Sent sent{{}, request, &member};
    sent.candidate.epoch = epoch_of(noon).value + ((choice & 16) != 0 ? input.u8() % 4U - 1U : 0U);
    sent.candidate.door_generation = (choice & 32) != 0 ? input.u8() : 1;
    sent.candidate.source = source;
    sent.candidate.message = seal(request, derive_message_keys(secret), home().id,
                                  hint_for(derive_hint_key(secret), Epoch{sent.candidate.epoch}));
    if ((choice & 64) == 0) return sent;
    for (std::size_t changes = input.u8() % 4U + 1U; changes > 0; --changes) {
        const std::size_t at = input.u8() % sent.candidate.message.length();
        const std::uint8_t change = input.u8();
        sent.candidate.message.bytes[at] ^= change;
    }
    if (sent.candidate.message != seal(request, derive_message_keys(secret), home().id,
                                       hint_for(derive_hint_key(secret), Epoch{sent.candidate.epoch})))
        sent.request.reset();
    return sent;
}

}  // namespace

void one_input(Input input) {
    Gatekeeper gatekeeper;
    std::vector<Sent> all;
    while (!input.empty() && all.size() < most_messages) {
        const std::uint8_t step = input.u8();
        if ((step & 0x80) == 0 || all.empty()) all.push_back(take_message(input));
        else all.push_back(all[step % all.size()]);  // once more
        if ((step & 0x40) != 0)
            gatekeeper.now.steady += Seconds{step & 0x3f}, gatekeeper.now.wall += Seconds{step & 0x3f};
        gatekeeper.decide(all.back().candidate, all.back().request, *all.back().member);
    }
}

std::vector<Bytes> seeds() {
    // A message of each client and family, each again at once and 10 s later; and one with a changed byte.
    std::vector<Bytes> all;
    for (std::uint8_t choice = 0; choice < 8; ++choice)
        all.push_back({0, choice, static_cast<std::uint8_t>(choice % 4 == 1 ? 64 : 0), 30, 128, 1, 0x80, 0xca});
    all.push_back({0, 64, 0, 30, 128, 1, 0, 20, 1});
    all.push_back({0, 0, 0, 30, 128, 1, 0, 0, 0x80, 0, 128, 2, 0, 0, 0, 30, 128, 3});  // open, close, open
    return all;
}

}  // namespace oneknock::fuzz
