#include "server/gatekeeper/generation_uses.hpp"

namespace oneknock {

void GenerationUses::learn(Keyring& keyring, Record& record, UnixTime now) {
    of_clients_.clear();
    of_door_.clear();
    const bool door_rotates = keyring.door.generations.size() > 1;
    for (Client& client : keyring.clients) {
        if (client.generations.size() < 2 && !door_rotates) continue;
        auto uses = record.uses_of(client.name, uses_since(client));
        end_early(client.generations, uses.of_key, grace_);
        of_clients_[client.name] = std::move(uses.of_key);
        of_door_[client.name] = std::move(uses.of_door);
    }
    end_door_early(keyring, now);
}

void GenerationUses::note(Keyring& keyring, Client& client, std::uint32_t generation, std::uint32_t door_generation, UnixTime now) {
    if (client.generations.size() > 1) {
        Uses& uses = of_clients_[client.name];
        note_use(uses, generation, now);
        end_early(client.generations, uses, grace_);
    }
    if (keyring.door.generations.size() < 2) return;
    Uses& uses = of_door_[client.name];
    const bool is_first = !uses.contains(door_generation);
    note_use(uses, door_generation, now);
    if (is_first) end_door_early(keyring, now);
}

void GenerationUses::end_door_early(Keyring& keyring, UnixTime now) {
    if (keyring.door.generations.size() < 2) return;
    end_early(keyring.door.generations, joint_uses(keyring, of_door_, now), grace_);
    door_has_changed_ = true;
}

}  // namespace oneknock
