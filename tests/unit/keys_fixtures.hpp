// Valid files of each kind, and what their tests share: a table of edits that each make one thing wrong.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <sys/stat.h>

#include "tests/catch.hpp"
#include "tests/unit/keys_texts.hpp"

namespace oneknock::test {

// `text` with the first `from` replaced; a test whose edit changes nothing is a defect of the test.
inline std::string edited(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    if (at == std::string::npos) throw std::logic_error("the fixture has no " + from);
    return text.replace(at, from.size(), to);
}

struct Edit {
    const char* from;
    const char* to;
    const char* complaint;  // FILE:LINE: and what the message says, from its beginning
};

// Applies each edit alone to `valid` and requires that `parse` refuses the result with the edit's complaint.
template <class Parse, class Edits>
void require_refusals(const std::string& valid, const Edits& edits, Parse parse) {
    for (const Edit& edit : edits) {
        CAPTURE(edit.from, edit.to);
        const auto result = parse(edited(valid, edit.from, edit.to));
        REQUIRE_FALSE(result);
        CHECK_THAT(result.error().message, Catch::StartsWith(edit.complaint));
        CHECK_THAT(result.error().message, !Catch::Contains("AQEB") && !Catch::Contains("AgIC"));
    }
}

// A folder of this test's own, gone at the end.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "oneknock-test-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
        path_ = name;
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

    std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        const std::string path = path_ + "/" + name;
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        std::ofstream(path) << text;
        chmod(path.c_str(), mode);
        return path;
    }

private:
    std::string path_;
};

}  // namespace oneknock::test
