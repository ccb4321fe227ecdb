// Finds the key of a message (docs/protocol.md, "Receiving", step 5).
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/message.hpp"
#include "keys/keyring.hpp"
#include "keys/shared_keys.hpp"
#include "server/gatekeeper/verify/hint_table.hpp"

namespace oneknock {

// A client with what the verifier needs of its keys, worked out while its file is read: taking it in is then only
// moving it.
struct PreparedClient {
    Client client;
    std::vector<std::pair<Epoch, Hint>> hints;  // of each generation, one after the other, for some hours
    std::vector<Fingerprint> fingerprints;      // likewise, to find keys that other files hold as well
};

// `epochs`: those for which there shall be hints.
[[nodiscard]] PreparedClient prepare_client(Client client, const std::vector<Epoch>& epochs);

// What a load of key files changes in the keys in force.
struct KeyChange {
    std::optional<Door> door;
    std::map<std::string, PreparedClient> clients;  // new or changed, by name
    std::set<std::string> gone;                     // names
};

// Everything is new.
[[nodiscard]] KeyChange change_to(Keyring keyring);

class Verifier {
public:
    explicit Verifier(KeyChange keys) { change(keys); }  // with a door
    explicit Verifier(Keyring keyring) : Verifier(change_to(std::move(keyring))) {}

    [[nodiscard]] const Keyring& keyring() const { return keyring_; }
    // For the ends of generations; all else stays as it is.
    [[nodiscard]] Keyring& keyring() { return keyring_; }

    struct Match {
        const Client* client;
        const Generation* generation;
        Request request;
    };
    // The key and request of a message read with a book of this epoch; nothing if no key of ours verifies it, or the
    // epoch is not one of those set: the listener has no say in which hours there are. More than one where several
    // files hold the key.
    [[nodiscard]] std::vector<Match> verify(const Message& message, Epoch epoch);

    // Of the keys in force.
    [[nodiscard]] const Sharing& sharing() const { return sharing_; }

    // Takes in what changed, and leaves in its place what that replaces, which the caller may take its time to discard.
    // Hours for which a changed client has no hint yet are to be set again.
    void change(KeyChange& change);

    // Sees that the tables of these hours exist or are begun, and forgets all others.
    void set_epochs(const std::vector<Epoch>& epochs);
    [[nodiscard]] std::vector<Epoch> epochs() const;
    // Works on unfinished tables, at most `keys` keys; true if work remains.
    bool build_hints(std::size_t keys);

private:
    struct Key {
        std::uint32_t client;
        std::uint32_t generation;
    };
    struct Keys;
    void add_hints(HintTable& table, std::size_t keys);

    Keyring keyring_;
    std::vector<Key> keys_;
    std::list<HintTable> tables_;  // of the few hours in force
    KeyCensus census_;
    Sharing sharing_;
};

}  // namespace oneknock
