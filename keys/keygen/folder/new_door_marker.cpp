#include "keys/keygen/folder/new_door_marker.hpp"

#include <filesystem>

#include "common/bytes.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/record_schema.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;

Result<void> make_state_folder(const std::string& state) {
    std::error_code error;
    if (fs::is_directory(state, error)) return {};
    fs::create_directories(fs::path(state).parent_path(), error);  // what failed, the next line says
    return make_private_folder(state);
}

}  // namespace

void announce_new_door(const std::string& state, const DoorId& door) {
    const std::string record = state + "/" + record_file_name;
    if (path_exists(record)) {
        log::warning(record + " is the replay record of an earlier door; if that door is still in use, give this one " +
                     "its own state directory (field \"state\" of oneknockd.json), otherwise remove the record");
        return;
    }
    const std::string text = to_hex(door.bytes) + "\n";
    auto done = make_state_folder(state);
    if (done) done = replace_file(state + "/" + new_door_name, as_bytes(text), 0644);
    if (!done)
        log::warning(done.error().message + "; the daemon will refuse knocks for the first minute, as if its replay " +
                     "record had been lost");
}

}  // namespace oneknock::keygen
