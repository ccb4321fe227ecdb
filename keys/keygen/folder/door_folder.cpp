#include "keys/keygen/folder/door_folder.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>

#include "common/files.hpp"
#include "common/log.hpp"
#include "keys/keygen/folder/atomic_files.hpp"

namespace oneknock::keygen {
namespace {

constexpr const char* how_to_make_a_door = "make a door with `oneknock-keygen init`";

// A missing file more often means a wrong word than a lost file.
Error with_hint(Error error, const std::string& hint) {
    if (error.code == ExitCode::no_input) error.message += "; " + hint;
    return error;
}

bool lock(int fd) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) return false;
    log::info("waiting for another oneknock-keygen that is changing this door");
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR) return false;
    return true;
}

}  // namespace

Result<Door> DoorFolder::read_door() const {
    return load_door(door()).map_error([](Error error) { return with_hint(std::move(error), how_to_make_a_door); });
}

Result<Keyring> DoorFolder::read_keyring() const {
    if (const auto readable = read_door(); !readable) return tl::unexpected(readable.error());
    return load_keyring(door(), clients());
}

Result<Client> DoorFolder::read_client(const std::string& name) const {
    const std::string path = client(name);
    const auto text = read_private_file(path);
    if (!text)
        return tl::unexpected(with_hint(text.error(), "to see the clients: oneknock-keygen list --dir " + path_));
    return parse_client(text->text(), path);
}

Result<Descriptor> lock_door(const DoorFolder& folder) {
    Descriptor fd(open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return tl::unexpected(with_hint(system_error("open the door's directory", folder.path(), ExitCode::no_input),
                                        how_to_make_a_door));
    if (!lock(fd.get())) return tl::unexpected(system_error("lock the door's directory", folder.path()));
    for (const std::string& path : {folder.path(), folder.clients()}) remove_leftovers(path);
    return fd;
}

}  // namespace oneknock::keygen
