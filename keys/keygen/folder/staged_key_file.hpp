// A new key on its way to the client, in step with the door's own files.
//
// Its file lies complete under PATH.oneknock-partial until the door knows the key, and then gets its name in one step.
// So a file under its own name always holds a key that works. A command that was killed in between is completed by
// giving it again: it finds the key of that file in the door's.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/result.hpp"
#include "keys/key_file.hpp"
#include "keys/keygen/folder/door_folder.hpp"

namespace oneknock::keygen {

inline constexpr std::string_view standard_output = "-";

[[nodiscard]] std::string partial_path(const std::string& path);

// The door's newest secret and the client's.
[[nodiscard]] KeyFile make_key_file(const Door& door, const Client& client, UnixTime now);

// Refuses a name that is taken, and the server's own folder. Creating makes sure again.
[[nodiscard]] Result<void> check_output(const std::string& path, const DoorFolder& folder);

// The file of the door's that takes the key in.
struct Change {
    std::string path;
    SecretBytes text;
    std::optional<SecretBytes> before;  // nothing: the file is new
};
// All of it or nothing: the change, and the text in the file `output` or on standard output.
[[nodiscard]] Result<void> publish_key_file(const std::string& output, const SecretBytes& text, const Change& change);

// Makes the change and publishes the key; where either fails, takes the change back, and then discards the key. A key
// that the door still knows is never discarded.
[[nodiscard]] Result<void> change_and_publish(const Change& change, const std::function<Result<void>()>& publish,
                                              const std::function<void()>& discard);

// Whether the file under its partial name holds the client's newest key: all but the last step was done.
[[nodiscard]] bool is_partly_published(const std::string& path, const Door& door, const Client& client);

// The last step. The file is written anew where the door's secret has changed since. `earlier` is what the run did that
// left it, for messages: "added NAME".
[[nodiscard]] Result<void> finish_publishing(const std::string& path, const std::string& earlier, const KeyFile& key);

// Where the command asks for something else than what that run did. Nothing is changed.
[[nodiscard]] tl::unexpected<Error> refuse_to_finish(const std::string& path, const std::string& earlier);

}  // namespace oneknock::keygen
