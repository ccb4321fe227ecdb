#include "keys/keygen/door_folder.hpp"

#include "common/files.hpp"

namespace oneknock::keygen {
namespace {

// A missing file more often means a wrong word than a lost file.
Error with_hint(Error error, const std::string& hint) {
    if (error.code == ExitCode::no_input) error.message += "; " + hint;
    return error;
}

}  // namespace

Result<Door> DoorFolder::read_door() const {
    return load_door(door()).map_error(
        [](Error error) { return with_hint(std::move(error), "`oneknock-keygen init` makes a door"); });
}

Result<Client> DoorFolder::read_client(const std::string& name) const {
    const std::string path = client(name);
    const auto text = read_private_file(path);
    if (!text)
        return tl::unexpected(with_hint(text.error(), "`oneknock-keygen list --dir " + path_ + "` shows the clients"));
    return parse_client(text->text(), path);
}

}  // namespace oneknock::keygen
