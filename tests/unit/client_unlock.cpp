#include "client/commands/commands.hpp"

#include <cstdlib>
#include <filesystem>
#include <map>

#include <sys/stat.h>
#include <unistd.h>

#include "client/door/askpass.hpp"
#include "client/door/kernel_keyring.hpp"
#include "client/door/key_store.hpp"
#include "client_fixtures.hpp"
#include "common/files.hpp"
#include "keys/key_encryption.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using Variables = std::map<std::string, std::string>;

namespace {

constexpr PassphraseCost cheap{1, 8192};

SecretBytes secret(std::string_view text) {
    SecretBytes bytes(text.size());
    std::ranges::copy(text, reinterpret_cast<char*>(bytes.bytes().data()));
    return bytes;
}

// A folder with a key file under a passphrase, and a program that knows what it is told.
struct Folder {
    std::string path = "/tmp/oneknock-test-XXXXXX";
    Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string locked_key(const KeyFile& key) const {
        auto locked = encrypt_key(key, secret("open sesame"), cheap);
        REQUIRE(locked);
        const std::string file = path + "/home.json";
        REQUIRE(replace_file(file, stored_key_text(StoredKey(*std::move(locked))).bytes()));
        return file;
    }
    [[nodiscard]] std::string script(const std::string& text) const {
        const std::string file = path + "/askpass";
        REQUIRE(replace_file(file, as_bytes("#!/bin/sh\n" + text + "\n"), 0700));
        return file;
    }
};

// Nobody but this program is asked while it lives.
struct Asks {
    explicit Asks(const std::string& program) {
        setenv("SSH_ASKPASS_REQUIRE", "force", 1);
        setenv("ONEKNOCK_ASKPASS", program.c_str(), 1);
    }
    ~Asks() {
        unsetenv("SSH_ASKPASS_REQUIRE");
        unsetenv("ONEKNOCK_ASKPASS");
    }
    Asks(const Asks&) = delete;
    Asks& operator=(const Asks&) = delete;
};

bool has_keyrings() {
    KeyEncryption lock;
    fill_random(lock.salt);
    const bool has = kernel_keyring::keep(lock, Secret32::random(), Seconds{60}).has_value();
    kernel_keyring::forget(lock);
    if (!has) WARN("this kernel has no keyrings, or a container forbids them");
    return has;
}

}  // namespace

TEST_CASE("who is asked for a passphrase follows ssh, and ONEKNOCK_ASKPASS needs no display") {
    struct Case {
        Variables variables;
        std::string program;  // "": the terminal alone
        bool before_terminal;
    };
    const Case cases[] = {
        {{}, "", false},
        {{{"SSH_ASKPASS", "/ssh"}}, "", false},
        {{{"SSH_ASKPASS", "/ssh"}, {"DISPLAY", ":0"}}, "/ssh", false},
        {{{"SSH_ASKPASS", "/ssh"}, {"WAYLAND_DISPLAY", "wayland-0"}}, "/ssh", false},
        {{{"SSH_ASKPASS", "/ssh"}, {"DISPLAY", ""}}, "", false},
        {{{"SSH_ASKPASS", "/ssh"}, {"SSH_ASKPASS_REQUIRE", "force"}}, "/ssh", true},
        {{{"SSH_ASKPASS", "/ssh"}, {"SSH_ASKPASS_REQUIRE", "prefer"}}, "", false},
        {{{"SSH_ASKPASS", "/ssh"}, {"SSH_ASKPASS_REQUIRE", "prefer"}, {"DISPLAY", ":0"}}, "/ssh", true},
        {{{"SSH_ASKPASS", "/ssh"}, {"SSH_ASKPASS_REQUIRE", "never"}, {"DISPLAY", ":0"}}, "", false},
        {{{"SSH_ASKPASS", "/ssh"}, {"ONEKNOCK_ASKPASS", "/own"}}, "/own", false},
        {{{"ONEKNOCK_ASKPASS", "/own"}, {"SSH_ASKPASS_REQUIRE", "prefer"}}, "/own", true},
        {{{"ONEKNOCK_ASKPASS", "/own"}, {"SSH_ASKPASS_REQUIRE", "never"}}, "", false}};
    for (const Case& each : cases) {
        const auto chosen = Askpass::choose([&](const char* name) {
            const auto found = each.variables.find(name);
            return found != each.variables.end() ? found->second : "";
        });
        CHECK((chosen ? chosen->program : "") == each.program);
        if (chosen) CHECK(chosen->before_terminal == each.before_terminal);
    }
}

TEST_CASE("a program is asked, with the question as its argument and nothing of our input and output") {
    const Folder folder;
    const KeyFile key = sample_key();
    const std::string file = folder.locked_key(key);
    {
        const Asks asks(folder.script("[ \"$1\" = 'passphrase of " + file + "' ] && cat && echo open sesame"));
        CHECK(open_door(file, sample_time)->key.client.secret.equals(key.client.secret));
    }
    for (const auto& [script, code] :
         {std::pair{"echo open sesame; exit 1", ExitCode::no_input}, std::pair{"kill -9 $$", ExitCode::no_input},
          std::pair{"true", ExitCode::data}, std::pair{"echo open barley", ExitCode::data}}) {
        CAPTURE(script);
        const Asks asks(folder.script(script));
        CHECK(open_door(file, sample_time).error().code == code);
    }
    const Asks asks("/nowhere/at-all");
    CHECK(open_door(file, sample_time).error().message.find("/nowhere/at-all gave no passphrase") == 0);
}

TEST_CASE("a key that takes the place of another while a passphrase is asked for is not written over") {
    const Folder folder;
    const std::string file = folder.path + "/home.json", newer = folder.path + "/newer.json";
    KeyFile key = sample_key();
    REQUIRE(create_private_file(file, key_file_text(key).bytes()));
    ++key.client.generation;
    REQUIRE(create_private_file(newer, key_file_text(key).bytes()));
    const Asks asks(folder.script("cp " + newer + " " + file + " && echo open sesame"));
    const auto changed = passphrase_command({file});
    REQUIRE_FALSE(changed);
    CHECK(changed.error().code == ExitCode::try_later);
    CHECK(changed.error().message == file + " was changed meanwhile; nothing was changed, give the command again");
    CHECK(read_file(file)->text() == read_file(newer)->text());
    REQUIRE(std::filesystem::remove(file));
    CHECK(passphrase_command({file}).error().code == ExitCode::no_input);
}

TEST_CASE("the kernel keeps an unlocking key for its time, for one lock, and until it is forgotten") {
    if (!has_keyrings()) return;
    KeyEncryption lock, other;
    fill_random(lock.salt);
    fill_random(other.salt);
    const Secret32 first = Secret32::random(), second = Secret32::random();
    CHECK_FALSE(kernel_keyring::find(lock));
    REQUIRE(kernel_keyring::keep(lock, first, Seconds{60}));
    CHECK(kernel_keyring::find(lock)->equals(first));
    CHECK_FALSE(kernel_keyring::find(other));
    REQUIRE(kernel_keyring::keep(lock, second, Seconds{60}));
    CHECK(kernel_keyring::find(lock)->equals(second));
    CHECK(kernel_keyring::forget(lock));
    CHECK_FALSE(kernel_keyring::forget(lock));
    CHECK_FALSE(kernel_keyring::find(lock));

    REQUIRE(kernel_keyring::keep(other, first, Seconds{1}));
    for (int i = 0; i < 300 && kernel_keyring::find(other); ++i) usleep(100'000);
    CHECK_FALSE(kernel_keyring::find(other));
}

TEST_CASE("an unlocked key opens without its passphrase, until it is locked or the file is another") {
    if (!has_keyrings()) return;
    const Folder folder;
    const Asks nobody(folder.script("exit 1"));
    const KeyFile key = sample_key();
    const std::string file = folder.locked_key(key);
    const auto opens = [&] { return open_door(file, sample_time).has_value(); };
    const auto unlock = [&](const char* passphrase) {
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        REQUIRE(write(ends[1], passphrase, std::char_traits<char>::length(passphrase)) > 0);
        close(ends[1]);
        return unlock_command({file, Seconds{60}, ends[0]});
    };
    CHECK_FALSE(opens());
    CHECK(unlock("open barley").error().code == ExitCode::data);
    CHECK_FALSE(opens());
    REQUIRE(unlock("open sesame"));
    CHECK(opens());
    REQUIRE(lock_command({file}));
    CHECK_FALSE(opens());

    REQUIRE(unlock("open sesame"));
    auto stored = read_stored_key(file);
    std::get<EncryptedKey>(*stored).lock.sealed[0] ^= 1;
    REQUIRE(replace_file(file, stored_key_text(*stored).bytes()));
    CHECK_FALSE(opens());  // altered
    std::get<EncryptedKey>(*stored).lock.sealed[0] ^= 1;
    REQUIRE(replace_file(file, stored_key_text(*stored).bytes()));
    CHECK(opens());
    REQUIRE(replace_stored_key(*KeysLock::wait_for(folder.path), file, *stored, *stored));
    CHECK_FALSE(opens());  // what was kept of the file before is forgotten
}
