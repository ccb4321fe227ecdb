#include "server/gatekeeper/verify/key_change.hpp"

#include "common/protocol/key_schedule.hpp"

namespace oneknock {

PreparedClient prepare_client(Client client, const std::vector<Epoch>& epochs) {
    PreparedClient prepared;
    for (const Generation& generation : client.generations) {
        const Secret32 key = derive_hint_key(generation.secret);
        for (const Epoch epoch : epochs) prepared.hints.emplace_back(epoch, hint_for(key, epoch));
    }
    prepared.client = std::move(client);
    return prepared;
}

KeyChange change_to(Keyring keyring) {
    KeyChange change;
    change.door = std::move(keyring.door);
    for (Client& client : keyring.clients) {
        const std::string name = client.name;
        change.clients.insert_or_assign(name, prepare_client(std::move(client), {}));
    }
    return change;
}

}  // namespace oneknock
