// Key files that arrive as descriptors become a change of the keys in force, file by file: one that is wrong keeps no
// other from acting. What takes away always acts.
//
// At the start, when no keys are in force, a wrong client's file keeps out that client; a wrong door's file is an error
// of the load.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/gatekeeper/verify/verifier.hpp"
#include "server/privsep/channel.hpp"

namespace oneknock {

// What files are called where their names have to be told apart: clients' files by their names in the folder.
inline constexpr const char* door_file = "";
inline constexpr const char* clients_folder = "/";

// The client whose file is called so; empty if no client can be.
[[nodiscard]] std::string client_of(const std::string& file);

struct WrongKeyFile {
    std::string client;  // of that name, if its name can be a client's
    std::string text;    // a sentence that names the file
};

struct LoadedKeys {
    KeyChange change;
    std::map<std::string, WrongKeyFile> wrong;  // by the file's name
    std::set<std::string> right;                // those that nothing is wrong with, and those that are gone
    bool fits = true;  // else some could not be read, or held in memory: all is to be told again
};

class KeyLoading {
public:
    struct InForce {
        const Keyring& keyring;  // must live as long
    };
    using Prepare = std::function<PreparedClient(Client)>;  // called for each client that is new or has changed

    // At the start nothing is in force.
    KeyLoading(std::optional<InForce> in_force, Prepare prepare) : in_force_(in_force), prepare_(std::move(prepare)) {}

    // Reads and closes the file's descriptor.
    void file(const PassedKeyFile& passed, Descriptor descriptor);
    void unopened(const UnopenedKeyFile& unopened);
    void missing(const MissingKeyFile& missing);

    // An error at the start: without the door, the folder or memory for all keys there is nothing to go on with.
    [[nodiscard]] Result<LoadedKeys> finish(const KeyFilesEnd& end);

private:
    [[nodiscard]] Result<void> read(const std::string& path, bool is_door, int descriptor);
    [[nodiscard]] Result<void> read_door(std::string_view text, const std::string& path);
    [[nodiscard]] Result<void> take_door(Door door, const std::string& path);
    [[nodiscard]] Result<void> read_client(std::string_view text, const std::string& path);
    void note_wrong(const std::string& file, const Error& error);
    void note_lack_of_memory(const std::string& file, const std::string& what);

    std::optional<InForce> in_force_;
    Prepare prepare_;
    LoadedKeys loaded_;
    std::optional<Error> fatal_;  // at the start
    std::uint32_t count_ = 0;
};

}  // namespace oneknock
