#include "keys/rotation.hpp"

#include <algorithm>

namespace oneknock {
namespace {

std::optional<UnixTime> first_use(Uses::const_iterator from, const Uses& uses) {
    std::optional<UnixTime> first;
    for (auto use = from; use != uses.end(); ++use)
        first = std::min(first.value_or(UnixTime::max()), use->second.first);
    return first;
}

// When the client first used this generation of the door's or a later one.
std::optional<UnixTime> moved(const Client& client, const std::map<std::string, Uses>& by_client,
                              const Generation& generation) {
    const auto uses = by_client.find(client.name);
    return uses == by_client.end() ? std::nullopt
                                   : first_use(uses->second.lower_bound(generation.number), uses->second);
}

// Nothing while a client that is waited for has not used it.
std::optional<Use> joint_use(const Keyring& keyring, const std::map<std::string, Uses>& by_client,
                             const Generation& generation, UnixTime now) {
    Use joint{generation.not_before, generation.not_before};
    for (const Client& client : keyring.clients) {
        const auto first = moved(client, by_client, generation);
        const bool waited_for = is_waited_for(client, generation, now);
        if (!first && waited_for) return std::nullopt;
        if (!first) continue;
        if (waited_for) joint.first = std::max(joint.first, *first);
        const Uses& uses = by_client.at(client.name);
        if (const auto own = uses.find(generation.number); own != uses.end())
            joint.last = std::max(joint.last, own->second.last);
    }
    return joint;
}

}  // namespace

bool has_ended(const Generation& generation, UnixTime now) {
    return generation.not_after && *generation.not_after < now;
}

bool is_in_force(const Generation& generation, UnixTime now, Seconds tolerance) {
    return now + tolerance >= generation.not_before && !has_ended(generation, now);
}

Result<void> add_generation(std::vector<Generation>& generations, Secret32 secret, UnixTime now, Seconds overlap) {
    const std::uint32_t newest = generations.back().number;
    if (newest == UINT32_MAX)
        return fail(ExitCode::data,
                    "there are no generation numbers left; add the client under a new name, or make a new door");
    for (Generation& generation : generations)
        generation.not_after = std::min(generation.not_after.value_or(UnixTime::max()), now + overlap);
    // One made within this second, by a clock since set back, or replaced at once would hold for no time at all.
    std::erase_if(generations, [now](const Generation& generation) {
        return has_ended(generation, now) || *generation.not_after <= generation.not_before;
    });
    generations.push_back({newest + 1, std::move(secret), now, std::nullopt});
    return {};
}

void note_use(Uses& uses, std::uint32_t generation, UnixTime when) {
    const auto [use, is_new] = uses.try_emplace(generation, Use{when, when});
    if (is_new) return;
    use->second.first = std::min(use->second.first, when);
    use->second.last = std::max(use->second.last, when);
}

UnixTime uses_since(const Client& client) { return client.generations.front().not_before; }

std::optional<UnixTime> end_of(const std::vector<Generation>& generations, std::size_t index, const Uses& uses,
                               const Grace& grace) {
    const auto& end = generations[index].not_after;
    if (!end || !grace) return end;
    const auto moved = first_use(uses.upper_bound(generations[index].number), uses);
    return moved ? std::min(*end, *moved + *grace) : *end;
}

void end_early(std::vector<Generation>& generations, const Uses& uses, const Grace& grace) {
    for (std::size_t i = 0; i + 1 < generations.size(); ++i)
        generations[i].not_after = end_of(generations, i, uses, grace);
}

bool is_outdated(const std::vector<Generation>& generations, const Uses& uses) {
    return uses.upper_bound(generations.back().number) != uses.end();
}

void end_outdated(std::vector<Generation>& generations, const Uses& uses, const Grace& grace) {
    Generation& newest = generations.back();
    const auto moved = first_use(uses.upper_bound(newest.number), uses);
    if (!moved) return;
    newest.not_after = std::min(newest.not_after.value_or(UnixTime::max()), *moved + grace.value_or(default_overlap));
}

bool is_waited_for(const Client& client, const Generation& door_generation, UnixTime now) {
    // A key file made after the door secret has that secret in it.
    return !client.revoked && (!client.expires || now <= *client.expires) &&
           client.generations.front().not_before <= door_generation.not_before;
}

const Client* first_awaited(const Keyring& keyring, const std::map<std::string, Uses>& by_client,
                            const Generation& generation, UnixTime now, const std::string& from) {
    auto client = std::ranges::lower_bound(keyring.clients, from, {}, &Client::name);
    while (client != keyring.clients.end() &&
           (!is_waited_for(*client, generation, now) || moved(*client, by_client, generation)))
        ++client;
    return client == keyring.clients.end() ? nullptr : &*client;
}

Uses joint_uses(const Keyring& keyring, const std::map<std::string, Uses>& by_client, UnixTime now) {
    Uses uses;
    for (const Generation& generation : keyring.door.generations)
        if (const auto joint = joint_use(keyring, by_client, generation, now)) uses.emplace(generation.number, *joint);
    return uses;
}

}  // namespace oneknock
