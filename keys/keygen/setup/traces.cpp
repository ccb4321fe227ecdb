#include "keys/keygen/setup/traces.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "common/files.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/setup/terminal.hpp"
#include "keys/record_files.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;

// Where the daemon keeps the lock of its table (server/firewall/table_lock.hpp).
std::string run_folder() { return folder_of(default_socket); }

std::vector<std::string> paths_of(const DoorFolder& folder, const std::string& state, const std::string& socket) {
    std::vector<std::string> paths{folder.config(), folder.door(), folder.clients(), folder.path()};
    for (const char* suffix : audit_suffixes) paths.push_back(state + "/" + audit_file_name + suffix);
    for (const char* name : {record_file_name, mark_file_name, new_door_name, state_lock_name})
        paths.push_back(state + "/" + name);
    paths.insert(paths.end(), {state, socket, folder_of(socket)});
    if (folder_of(socket) != run_folder()) paths.push_back(run_folder());
    return paths;
}

// In whatever network namespaces.
std::vector<std::string> locks_of(const std::string& table) {
    std::vector<std::string> paths;
    std::error_code error;
    for (fs::directory_iterator at(run_folder(), error), end; !error && at != end; at.increment(error))
        if (const std::string name = at->path().filename().string();
            name.starts_with("table-") && name.ends_with("-inet_" + table + ".lock"))
            paths.push_back(at->path().string());
    return paths;
}

}  // namespace

bool Traces::undo() {
    bool all = true;
    while (!undoings_.empty()) {
        const auto done = undoings_.back()();
        undoings_.pop_back();
        if (done) continue;
        Terminal::say("cannot be undone: " + done.error().message);
        all = false;
    }
    return all;
}

Result<void> remove_paths(const std::vector<std::string>& paths) {
    Result<void> done;
    for (const std::string& path : paths) {
        if (std::remove(path.c_str()) == 0 || errno == ENOENT) continue;
        if (done) done = tl::unexpected(system_error("remove", path, ExitCode::cannot_create));
    }
    return done;
}

DoorTraces::DoorTraces(const DoorFolder& folder, const std::string& state, const std::string& socket, std::string table)
    : table_(std::move(table)), locks_(locks_of(table_)) {
    for (const std::string& path : paths_of(folder, state, socket))
        if (!path_exists(path)) paths_.push_back(path);
}

Result<void> DoorTraces::remove() const {
    std::vector<std::string> gone = locks_of(table_);
    std::erase_if(gone, [&](const std::string& lock) { return std::ranges::find(locks_, lock) != locks_.end(); });
    gone.insert(gone.end(), paths_.begin(), paths_.end());
    return remove_paths(gone);
}

}  // namespace oneknock::keygen
