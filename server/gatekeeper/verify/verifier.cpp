#include "server/gatekeeper/verify/verifier.hpp"

#include <algorithm>

#include "common/protocol/key_schedule.hpp"

namespace oneknock {

PreparedClient prepare_client(Client client, const std::vector<Epoch>& epochs) {
    PreparedClient prepared;
    prepared.fingerprints = fingerprints_of(client);
    for (const Generation& generation : client.generations) {
        if (epochs.empty()) break;
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

// All that there is by client and by key, in the making.
struct Verifier::Keys {
    Keys(const std::list<HintTable>& before, std::size_t most_clients) : old_tables(before), hints(before.size()) {
        clients.reserve(most_clients);
        keys.reserve(most_clients);
    }

    // One that has not changed; `first` is the number its first key had.
    void keep(Client& client, HintTable::KeyNumber first) {
        auto hint = hints.begin();
        for (const HintTable& table : old_tables) {
            for (std::uint32_t g = 0; g < client.generations.size(); ++g) hint->push_back(table.hint_of(first + g));
            ++hint;
        }
        add(client);
    }
    void add(PreparedClient& prepared) {
        auto hint = hints.begin();
        for (const HintTable& table : old_tables) {
            for (const auto& [epoch, value] : prepared.hints)
                if (epoch == table.epoch()) hint->push_back(load_u16be(value.bytes.data()));
            ++hint;
        }
        add(prepared.client);
    }
    // Those that have a hint of every key.
    [[nodiscard]] std::list<HintTable> tables() {
        std::list<HintTable> complete;
        auto hint = hints.begin();
        for (const HintTable& table : old_tables) {
            if (hint->size() == keys.size()) complete.emplace_back(table.epoch(), std::move(*hint));
            ++hint;
        }
        return complete;
    }

    const std::list<HintTable>& old_tables;
    std::vector<Client> clients;
    std::vector<Key> keys;
    std::vector<std::vector<std::uint16_t>> hints;  // of each of the tables

private:
    void add(Client& client) {
        const auto number = static_cast<std::uint32_t>(clients.size());
        for (std::uint32_t g = 0; g < client.generations.size(); ++g) keys.push_back({number, g});
        clients.push_back(std::move(client));
    }
};

std::vector<Verifier::Match> Verifier::verify(const Message& message, Epoch epoch) {
    const auto table = std::ranges::find(tables_, epoch, &HintTable::epoch);
    if (table == tables_.end()) return {};
    if (!table->complete()) add_hints(*table, keys_.size());  // a knock came before its hour was prepared
    std::vector<Match> matches;
    table->for_each(message.hint(), [&](HintTable::KeyNumber number) {
        const Client& client = keyring_.clients[keys_[number].client];
        const Generation& generation = client.generations[keys_[number].generation];
        if (const auto request = unseal(message, derive_message_keys(generation.secret), keyring_.door.id))
            matches.push_back({&client, &generation, *request});
    });
    return matches;
}

void Verifier::change(KeyChange& change) {
    if (change.door) std::swap(keyring_.door, *change.door);
    if (change.clients.empty() && change.gone.empty()) return;
    tables_.remove_if([](const HintTable& table) { return !table.complete(); });
    for (const auto& [name, prepared] : change.clients) census_.note_come(prepared.fingerprints);
    Keys keys(tables_, keyring_.clients.size() + change.clients.size());
    HintTable::KeyNumber number = 0;  // of the first key of the client
    auto changed = change.clients.begin();
    for (Client& client : keyring_.clients) {
        while (changed != change.clients.end() && changed->first < client.name) keys.add((changed++)->second);
        const auto count = static_cast<HintTable::KeyNumber>(client.generations.size());
        if (changed != change.clients.end() && changed->first == client.name) {
            keys.add(changed->second);
            census_.note_gone(fingerprints_of(client));
            (changed++)->second.client = std::move(client);
        } else if (!change.gone.contains(client.name)) {
            keys.keep(client, number);
        } else {
            census_.note_gone(fingerprints_of(client));
            change.clients[client.name].client = std::move(client);  // behind `changed`, as far as the order goes
        }
        number += count;
    }
    while (changed != change.clients.end()) keys.add((changed++)->second);
    tables_ = keys.tables();
    keyring_.clients = std::move(keys.clients);
    keys_ = std::move(keys.keys);
    sharing_ = census_.has_doubles() ? shared_keys(keyring_.clients) : Sharing();
}

void Verifier::set_epochs(const std::vector<Epoch>& epochs) {
    tables_.remove_if([&](const HintTable& table) { return std::ranges::find(epochs, table.epoch()) == epochs.end(); });
    for (const Epoch epoch : epochs)
        if (std::ranges::find(tables_, epoch, &HintTable::epoch) == tables_.end())
            tables_.emplace_back(epoch, keys_.size());
}

std::vector<Epoch> Verifier::epochs() const {
    std::vector<Epoch> epochs;
    for (const HintTable& table : tables_) epochs.push_back(table.epoch());
    return epochs;
}

bool Verifier::build_hints(std::size_t keys) {
    for (HintTable& table : tables_)
        if (!table.complete()) {
            add_hints(table, keys);
            return true;
        }
    return false;
}

void Verifier::add_hints(HintTable& table, std::size_t keys) {
    for (std::size_t i = table.size(); i < keys_.size() && keys > 0; ++i, --keys) {
        const Generation& generation = keyring_.clients[keys_[i].client].generations[keys_[i].generation];
        table.add(hint_for(derive_hint_key(generation.secret), table.epoch()));
    }
}

}  // namespace oneknock
