#include "client/message/source_address.hpp"

namespace oneknock {
namespace {

std::string nat_hint(const SourcePolicy& policy, const Address& local, const Address& destination) {
    const std::string problem = local.text() + " is a private address and " + destination.text() +
                                " is public: the server will see your NAT's public address. ";
    if (may_be_observed(policy)) return problem + "Use --source observed";
    return problem + "Use --source YOUR.PUBLIC.ADDRESS, or ask the administrator to allow this client `observed`";
}

}  // namespace

bool may_be_observed(const SourcePolicy& policy) { return policy.mode() != SourcePolicy::Mode::same; }

Result<void> check_choice(const SourceChoice& choice, const SourcePolicy& policy) {
    if (!choice.observed || may_be_observed(policy)) return {};
    return fail(ExitCode::usage,
                "--source observed: this key's source policy is `same`, so the server would refuse the knock; use "
                "--source YOUR.PUBLIC.ADDRESS, or ask the administrator to allow this client `observed`");
}

Result<Address> message_address(const SourceChoice& choice, const SourcePolicy& policy, const Address& local,
                                const Address& destination) {
    if (choice.named) return *choice.named;
    if (choice.observed) return Address::any(destination.family);
    if (local.is_loopback())
        return fail(ExitCode::usage, "the door's address " + destination.text() +
                                         " is this machine's own; local connections need no knock");
    if (local.is_private() && !destination.is_private())
        return fail(ExitCode::usage, nat_hint(policy, local, destination));
    return local;
}

}  // namespace oneknock
