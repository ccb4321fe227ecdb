#include "client/commands/import_source.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/door/enrolments.hpp"
#include "common/fd.hpp"
#include "common/files.hpp"
#include "common/text.hpp"
#include "keys/compact_key.hpp"

namespace oneknock {
namespace {

// Locked memory is scarce, and a pipe's size is not known before its end. A key file has about a kilobyte.
constexpr std::size_t largest_piped = 16 * 1024;

Result<SecretBytes> read_pipe(int fd, const std::string& name) {
    SecretBytes content(largest_piped);
    if (const auto length = read_to_end(fd, content.bytes())) {
        content.shrink(*length);
        return content;
    }
    if (errno == EFBIG) return fail(ExitCode::data, printable(name) + ": too large for a key file");
    return tl::unexpected(system_error("read", name, ExitCode::data));
}

// A sealed key is no secret: its file may have come by mail, with whatever mode.
Result<SecretBytes> read_whole_file(const std::string& file) {
    auto content = read_file(file);
    return content && is_sealed_for_one(content->text()) ? std::move(content) : read_private_file(file);
}

Result<SecretBytes> read_source(const std::string& file) {
    if (file == "-") return read_pipe(STDIN_FILENO, "standard input");
    if (!is_piped(file)) return read_whole_file(file);
    const Descriptor pipe(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!pipe) return tl::unexpected(system_error("open", file, ExitCode::no_input));
    return read_pipe(pipe.get(), file);
}

Result<Brought> open_for_us(std::string_view text, const std::string& name, const std::string& folder) {
    const auto sealed = parse_sealed(text, name);
    if (!sealed) return tl::unexpected(sealed.error());
    auto kept = find_enrolment(folder, sealed->recipient, read_clocks().wall);
    if (!kept) return tl::unexpected(kept.error());
    return open_sealed(*sealed, kept->key, name).map([&](KeyFile&& key) {
        return Brought{StoredKey{std::move(key)}, SealedAs{enrolment_words(*sealed), std::move(kept->path)}};
    });
}

Brought as_it_is(StoredKey key) { return {std::move(key), std::nullopt}; }

}  // namespace

bool is_piped(const std::string& file) {
    struct stat info {};
    return file == "-" || (stat(file.c_str(), &info) == 0 && S_ISFIFO(info.st_mode));
}

Result<Brought> read_brought(const ImportOptions& options, const std::string& folder) {
    const auto content = read_source(options.file);
    if (!content) return tl::unexpected(content.error());
    const std::string name = options.file == "-" ? "standard input" : options.file;
    if (is_sealed_for_one(content->text())) return open_for_us(content->text(), name, folder);
    if (options.words)
        return fail(ExitCode::usage, "--words: " + printable(name) + " was not sealed for this machine, and has none");
    if (!is_compact_key(content->text())) return parse_stored_key(content->text(), name).map(as_it_is);
    return parse_compact_key(content->text(), name).map([](CompactKey&& compact) {
        return as_it_is(std::move(compact.key));
    });
}

}  // namespace oneknock
