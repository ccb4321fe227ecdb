// A hash table of fixed capacity whose entries are numbers into one array, with intrusive lists through them.
// Memory is reserved at once and touched as it is used; nothing is allocated after construction.
#pragma once

#include <cstdint>
#include <vector>

#include "server/listener/keyed_hash.hpp"

namespace oneknock {

using Index = std::uint32_t;
inline constexpr Index no_index = ~Index{0};

// Links of one entry in one list.
struct Link {
    Index newer = no_index;
    Index older = no_index;
};

// A list from newest to oldest. `links(index)` gives an entry's Link of this list.
struct IndexList {
    Index newest = no_index;
    Index oldest = no_index;
    std::uint32_t count = 0;

    template <class Links>
    void push(Index index, Links links) {
        links(index) = {no_index, newest};
        if (newest != no_index) links(newest).newer = index;
        newest = index;
        if (oldest == no_index) oldest = index;
        ++count;
    }

    template <class Links>
    void remove(Index index, Links links) {
        const Link link = links(index);
        (link.newer == no_index ? newest : links(link.newer).older) = link.older;
        (link.older == no_index ? oldest : links(link.older).newer) = link.newer;
        --count;
    }
};

// Entry must have a `key` with operator== and bytes(), be default constructible, and trivial to overwrite.
template <class Entry>
class FixedHashTable {
public:
    explicit FixedHashTable(std::uint32_t capacity) : capacity_(capacity), heads_(bucket_count(capacity), no_index) {
        entries_.reserve(capacity);
        next_.reserve(capacity);
    }

    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(entries_.size()) - free_count_; }
    [[nodiscard]] bool full() const { return size() == capacity_; }
    [[nodiscard]] Entry& operator[](Index index) { return entries_[index]; }
    [[nodiscard]] const Entry& operator[](Index index) const { return entries_[index]; }

    template <class Key>
    [[nodiscard]] std::uint64_t hash(const Key& key) const {
        return hash_(key.bytes());
    }

    template <class Key>
    [[nodiscard]] Index find(const Key& key) const {
        return find(key, hash(key));
    }
    template <class Key>
    [[nodiscard]] Index find(const Key& key, std::uint64_t hash_of_key) const {
        Index at = heads_[hash_of_key & (heads_.size() - 1)];
        while (at != no_index && !(entries_[at].key == key)) at = next_[at];
        return at;
    }

    // The table must not be full and must not hold the key.
    template <class Key>
    Index insert(const Key& key) {
        Index index = first_free_;
        if (index == no_index) {
            index = static_cast<Index>(entries_.size());
            entries_.emplace_back();
            next_.push_back(no_index);
        } else {
            first_free_ = next_[index];
            --free_count_;
        }
        entries_[index] = Entry{};
        entries_[index].key = key;
        Index& head = heads_[bucket_of(key)];
        next_[index] = head;
        head = index;
        return index;
    }

    void erase(Index index) {
        Index* at = &heads_[bucket_of(entries_[index].key)];
        while (*at != index) at = &next_[*at];
        *at = next_[index];
        next_[index] = first_free_;
        first_free_ = index;
        ++free_count_;
    }

    // Calls function(index) for every entry; the function may erase the entry it is given.
    template <class Function>
    void for_each(Function function) {
        for (auto& head : heads_)
            for (Index at = head; at != no_index;) {
                const Index following = next_[at];
                function(at);
                at = following;
            }
    }

private:
    static std::size_t bucket_count(std::uint32_t capacity) {
        std::size_t count = 1;
        while (count < capacity) count *= 2;
        return count;
    }
    template <class Key>
    [[nodiscard]] std::size_t bucket_of(const Key& key) const {
        return hash(key) & (heads_.size() - 1);
    }

    KeyedHash hash_;
    std::uint32_t capacity_;
    std::uint32_t free_count_ = 0;
    Index first_free_ = no_index;
    std::vector<Entry> entries_;
    std::vector<Index> next_;  // in the bucket, or in the list of free entries
    std::vector<Index> heads_;
};

}  // namespace oneknock
