#include "keys/keygen/setup/handover.hpp"

#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "common/text.hpp"

namespace oneknock::keygen {
namespace {

namespace fs = std::filesystem;

constexpr std::uint16_t usual_port = 22;

std::string in_brackets(const std::string& host) {
    return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::string port_words(const char* option, std::uint16_t port) {
    return port == usual_port ? "" : std::string(option) + " " + std::to_string(port) + " ";
}

}  // namespace

std::string key_file_of(const Person& person, const std::string& client) {
    std::error_code error;
    const std::string name = client + ".json";
    return fs::is_directory(person.home, error) ? (fs::path(person.home) / name).string() : name;
}

// A folder of that person's may hold another file under the name by now: only one that is root's own is given away.
Result<void> give_key_file(const Person& person, const std::string& path) {
    if (person.uid == geteuid()) return {};
    const Descriptor file(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (!file || fstat(file.get(), &info) != 0)
        return tl::unexpected(system_error("hand over", path, ExitCode::cannot_create));
    if (!S_ISREG(info.st_mode) || info.st_nlink != 1 || info.st_uid != geteuid())
        return fail(ExitCode::cannot_create, path + " is not the file that was made; somebody has replaced it");
    if (fchownat(file.get(), "", person.uid, person.gid, AT_EMPTY_PATH) == 0) return {};
    return tl::unexpected(system_error("hand over", path, ExitCode::cannot_create));
}

std::string how_to_fetch(const Person& person, const std::string& path, const std::string& host,
                         std::uint16_t ssh_port) {
    const std::string name = fs::path(path).filename().string();
    const std::string there = fs::path(path).parent_path() == person.home ? name : fs::absolute(path).string();
    return "scp " + port_words("-P", ssh_port) + shell_word(person.name + "@" + in_brackets(host) + ":" + there) +
           " . && oneknock import " + shell_word(name);
}

std::string how_to_log_in(const Person& person, const std::string& host, std::uint16_t ssh_port) {
    return "ssh " + port_words("-p", ssh_port) + shell_word(person.name + "@" + host);
}

}  // namespace oneknock::keygen
