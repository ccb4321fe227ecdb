#include "common/log.hpp"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "common/text.hpp"

namespace oneknock::log {
namespace {

enum class Priority : char { error = '3', warning = '4', info = '6' };  // as syslog's

// Longer texts could be torn apart: a pipe takes so much at once or nothing.
constexpr std::size_t longest_text = PIPE_BUF;

// Where lines go, and what became of them.
class Output {
public:
    void print(Priority priority, std::string_view label, std::string_view line, Fields fields = {}) {
        if (journal_ && !fields.empty() && send_entry(priority, std::string(label).append(line), fields)) return;
        std::string text;
        if (unsaid_ > 0)
            append(text, Priority::warning,
                   "warning: " + std::to_string(unsaid_) + " lines of this log were dropped because nothing read them");
        append(text, priority, (label.empty() ? "" : name_) + std::string(label).append(line));
        if (!waits_) write_now(text);
        else static_cast<void>(write_all(STDERR_FILENO, as_bytes(text)));
    }

    void name_program(std::string_view name) { name_ = name.empty() ? "" : std::string(name) + ": "; }

    void never_wait() {
        waits_ = false;
        is_journal_ = log::is_journal();
        struct stat info {};
        if (fstat(STDERR_FILENO, &info) != 0) return;
        is_socket_ = S_ISSOCK(info.st_mode);
        // A file has always room, and a description of one's own would have a place of its own in it.
        if (!S_ISFIFO(info.st_mode) && !S_ISCHR(info.st_mode)) return;
        const Descriptor own(open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        never_blocks_ = own && dup2(own.get(), STDERR_FILENO) >= 0;
    }

    void write_fields_to(Descriptor journal) { journal_ = std::move(journal); }
    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

private:
    // False: not there any more. An entry for which there is no room is told of by the next line of another kind.
    bool send_entry(Priority priority, const std::string& line, Fields fields) {
        const std::string entry = journal::entry(static_cast<char>(priority), line, fields);
        if (send(journal_.get(), entry.data(), entry.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
        if (errno != EAGAIN) {
            journal_.reset();
            return false;
        }
        ++unsaid_;
        ++dropped_;
        return true;
    }

    void append(std::string& text, Priority priority, std::string_view line) const {
        for (std::string_view margin;;) {
            if (is_journal_) text.append({'<', static_cast<char>(priority), '>'});
            const auto end = line.find('\n');
            text.append(margin).append(printable(line.substr(0, end))).append("\n");
            if (end == std::string_view::npos) return;
            line.remove_prefix(end + 1);
            margin = line.starts_with(' ') ? "" : "  ";
        }
    }

    // All of it or nothing.
    void write_now(std::string& text) {
        if (text.size() > longest_text) shorten(text);
        if (is_torn_) text.insert(0, "\n");
        const ssize_t wrote = try_write(text);
        if (wrote == static_cast<ssize_t>(text.size())) {
            unsaid_ = 0;
            is_torn_ = false;
            return;
        }
        is_torn_ = is_torn_ || wrote > 0;  // a terminal may take a part
        ++unsaid_;
        ++dropped_;
    }

    static void shorten(std::string& text) {
        constexpr std::string_view ending = " ...\n";
        std::size_t end = longest_text - ending.size();
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not within a character
        text.replace(end, std::string::npos, ending);
    }

    [[nodiscard]] ssize_t try_write(const std::string& text) const {
        if (is_socket_) return send(STDERR_FILENO, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        // What was not ours to open may block. (Of a pipe this asks for a whole page: more than is needed.)
        pollfd room{STDERR_FILENO, POLLOUT, 0};
        if (!never_blocks_ && poll(&room, 1, 0) <= 0) return -1;
        return write(STDERR_FILENO, text.data(), text.size());
    }

    std::string name_;
    Descriptor journal_;
    bool is_journal_ = log::is_journal();
    bool waits_ = true, is_socket_ = false, never_blocks_ = false, is_torn_ = false;
    std::uint64_t unsaid_ = 0, dropped_ = 0;
};

// Standard error is one for the whole process.
Output& output() {
    static Output output;
    return output;
}

}  // namespace

void error(std::string_view line) { output().print(Priority::error, "error: ", line); }
void warning(std::string_view line, Fields fields) { output().print(Priority::warning, "warning: ", line, fields); }
void info(std::string_view line, Fields fields) { output().print(Priority::info, "", line, fields); }

// sd-daemon(3): the variable is inherited by programs whose standard error is another one.
bool is_journal() {
    const char* const stream = std::getenv("JOURNAL_STREAM");
    struct stat info {};
    if (stream == nullptr || fstat(STDERR_FILENO, &info) != 0) return false;
    return stream == std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

void name_program(std::string_view name) { output().name_program(name); }
void never_wait() { output().never_wait(); }
void write_fields_to(Descriptor journal) { output().write_fields_to(std::move(journal)); }
std::uint64_t dropped() { return output().dropped(); }

}  // namespace oneknock::log
