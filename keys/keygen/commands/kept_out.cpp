#include "keys/keygen/commands/kept_out.hpp"

#include <algorithm>

#include "common/log.hpp"
#include "keys/rotation.hpp"

namespace oneknock::keygen {

std::vector<KeptOut> kept_out_by_policy(const Client& client, UnixTime now) {
    std::vector<KeptOut> reasons;
    if (client.revoked) reasons.push_back({"is revoked", "unrevoke " + client.name});
    if (client.expires && *client.expires < now)
        reasons.push_back({"expired at " + time_text(*client.expires), "limit " + client.name + " --expires DATE"});
    if (client.allow.empty()) reasons.push_back({"may open nothing", "allow " + client.name + " SERVICE"});
    return reasons;
}

bool warn_of_what_keeps_out(const Client& client, const DoorFolder& folder, UnixTime now) {
    auto reasons = kept_out_by_policy(client, now);
    if (std::ranges::all_of(client.generations, [now](const auto& one) { return has_ended(one, now); }))
        reasons.push_back({"has no key that has not ended", "rotate " + client.name + " -o FILE"});
    for (const KeptOut& reason : reasons)
        log::warning(client.name + " " + reason.why + "; to change that: " + folder.command(reason.words));
    return !reasons.empty();
}

}  // namespace oneknock::keygen
