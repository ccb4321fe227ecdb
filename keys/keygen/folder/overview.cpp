#include "keys/keygen/folder/overview.hpp"

#include <algorithm>
#include <array>

namespace oneknock::keygen {
namespace {

constexpr std::array status_texts{"valid", "ending", "ended", "expired", "revoked"};  // by Status

Status status_of(const std::optional<UnixTime>& end, UnixTime now) {
    if (!end) return Status::valid;
    return *end < now ? Status::ended : Status::ending;
}

std::vector<GenerationView> view_of(const std::vector<Generation>& generations, const Uses& uses, const Grace& grace,
                                    UnixTime now) {
    std::vector<GenerationView> views;
    for (std::size_t i = 0; i < generations.size(); ++i) {
        const Generation& generation = generations[i];
        GenerationView view{generation.number, generation.not_before, generation.not_after, {}, {}, {}};
        view.ends = end_of(generations, i, uses, grace);
        if (const auto use = uses.find(generation.number); use != uses.end()) view.last_used = use->second.last;
        view.status = status_of(view.ends, now);
        views.push_back(view);
    }
    return views;
}

Status status_of(const Client& client, const std::vector<GenerationView>& generations, UnixTime now) {
    if (client.revoked) return Status::revoked;
    const bool all_ended = std::ranges::all_of(generations, [](const auto& g) { return g.status == Status::ended; });
    return all_ended || (client.expires && *client.expires < now) ? Status::expired : Status::valid;
}

// The latest time that a client has used each generation of the door.
Uses last_uses(const std::map<std::string, Uses>& by_client) {
    Uses all;
    for (const auto& [name, uses] : by_client)
        for (const auto& [generation, use] : uses) note_use(all, generation, use.last);
    return all;
}

std::vector<GenerationView> view_of_door(const Keyring& keyring, const std::map<std::string, Uses>& by_client,
                                         const Grace& grace, UnixTime now) {
    auto views = view_of(keyring.door.generations, joint_uses(keyring, by_client, now), grace, now);
    const Uses uses = last_uses(by_client);
    for (GenerationView& view : views) {
        const auto use = uses.find(view.number);
        view.last_used = use == uses.end() ? std::nullopt : std::optional(use->second.last);
    }
    return views;
}

}  // namespace

const char* text_of(Status status) { return status_texts[static_cast<std::size_t>(status)]; }

Result<Overview> make_overview(const Keyring& keyring, AuditReader* audit, const Grace& grace, UnixTime now) {
    Overview overview;
    overview.knows_uses = audit != nullptr;
    overview.knows_door_uses = audit != nullptr && audit->tells_door_generations();
    std::map<std::string, Uses> door_uses;
    for (const Client& client : keyring.clients) {
        const auto uses = audit == nullptr ? ClientUses{} : audit->uses_of(client.name, uses_since(client));
        if (!uses) return tl::unexpected(uses.error());
        ClientView view{&client, Status::valid, view_of(client.generations, uses->generations, grace, now), {}};
        view.status = status_of(client, view.generations, now);
        if (!uses->door_generations.empty()) view.door_generation = uses->door_generations.rbegin()->first;
        door_uses.emplace(client.name, uses->door_generations);
        overview.clients.push_back(std::move(view));
    }
    // An audit that does not tell the door's generations must not make it look as if nobody had to move.
    const Grace door_grace = overview.knows_door_uses ? grace : std::nullopt;
    overview.door = view_of_door(keyring, door_uses, door_grace, now);
    return overview;
}

}  // namespace oneknock::keygen
