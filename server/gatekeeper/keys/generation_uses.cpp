#include "server/gatekeeper/keys/generation_uses.hpp"

#include <algorithm>

namespace oneknock {

void GenerationUses::learn(Keyring& keyring, Audit& audit) {
    for (const Client& client : keyring.clients) look_up(client, keyring.door, audit);
    take_in_what_was_looked_up(keyring, true);
}

void GenerationUses::look_up(const Client& client, const Door& door, Audit& audit) {
    const bool may_be_outdated = audit.newest_generation_of(client.name) > client.generations.back().number;
    outdated_.erase(client.name);
    if (client.generations.size() > 1 || door.generations.size() > 1 || may_be_outdated)
        looked_up_[client.name] = audit.uses_of(client.name, uses_since(client));
}

void GenerationUses::forget(const std::set<std::string>& gone) {
    for (const std::string& name : gone) {
        of_clients_.erase(name);
        of_door_.erase(name);
        outdated_.erase(name);
    }
}

void GenerationUses::take_in_what_was_looked_up(Keyring& keyring, bool may_end_door) {
    const bool changes_door_use = may_end_door || !looked_up_.empty();
    for (auto& [name, uses] : std::exchange(looked_up_, {})) {
        Client* const client = find_client(keyring, name);
        if (client == nullptr) continue;
        end_early(client->generations, uses.of_key, grace_);
        end_outdated(client->generations, uses.of_key, grace_);
        if (is_outdated(client->generations, uses.of_key)) outdated_.insert(name);
        for (const auto& [generation, use] : uses.of_door) latest_ = std::max(latest_, use.last);
        of_clients_[name] = std::move(uses.of_key);
        of_door_[name] = std::move(uses.of_door);
    }
    if (!changes_door_use) return;
    awaited_ = "";
    end_door_early(keyring);
}

void GenerationUses::note(Keyring& keyring, Client& client, std::uint32_t generation, std::uint32_t door_generation,
                          UnixTime now) {
    if (const auto waiting = looked_up_.find(client.name); waiting != looked_up_.end()) {
        note_use(waiting->second.of_key, generation, now);
        note_use(waiting->second.of_door, door_generation, now);
    }
    if (client.generations.size() > 1) {
        Uses& uses = of_clients_[client.name];
        note_use(uses, generation, now);
        end_early(client.generations, uses, grace_);
    }
    if (keyring.door.generations.size() < 2) return;
    note_use(of_door_[client.name], door_generation, now);
    latest_ = std::max(latest_, now);
    if (awaited_) end_door_early(keyring);
}

void GenerationUses::end_door_early(Keyring& keyring) {
    if (keyring.door.generations.size() < 2) return;
    const Client* const awaited =
        first_awaited(keyring, of_door_, keyring.door.generations.back(), latest_, awaited_.value_or(""));
    if (awaited != nullptr) {
        awaited_ = awaited->name;
        return;
    }
    awaited_.reset();
    end_early(keyring.door.generations, joint_uses(keyring, of_door_, latest_), grace_);
    door_has_changed_ = true;
}

}  // namespace oneknock
