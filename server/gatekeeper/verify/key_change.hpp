// What a load of key files changes in the keys in force.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/protocol/constants.hpp"
#include "keys/keyring.hpp"

namespace oneknock {

// A client with what the verifier needs of its keys, worked out while its file is read: taking it in is then only
// moving it.
struct PreparedClient {
    Client client;
    std::vector<std::pair<Epoch, Hint>> hints;  // of each generation, one after the other, for some hours
};

// `epochs`: those for which there shall be hints.
[[nodiscard]] PreparedClient prepare_client(Client client, const std::vector<Epoch>& epochs);

struct KeyChange {
    std::optional<Door> door;
    std::map<std::string, PreparedClient> clients;  // new or changed, by name
    std::set<std::string> gone;                     // names
};

// Everything is new.
[[nodiscard]] KeyChange change_to(Keyring keyring);

}  // namespace oneknock
