#include "state.hpp"

#include <juce_cryptography/juce_cryptography.h>

namespace amp::plugin {
namespace {

constexpr std::array<char, 4> kMagic{'a', 'm', 'p', 'd'};
constexpr size_t kHeadBytes = 4 + kMagic.size() + 8 + 4;
constexpr size_t kDigestBytes = 32;
constexpr int kMostParts = 64;

using juce::var;

juce::MemoryBlock digest(const void* data, size_t size) {
  return juce::SHA256(data, size).getRawData();
}

/// Below the home folder, "" elsewhere: there it is found again under another user's.
juce::String from_home(const juce::String& path) {
  const juce::File home = juce::File::getSpecialLocation(juce::File::userHomeDirectory);
  const juce::File file(path);
  return file.isAChildOf(home) ? file.getRelativePathFrom(home).replaceCharacter('\\', '/')
                               : juce::String();
}

template <typename Map>
var to_object(const Map& map) {
  auto* object = new juce::DynamicObject();
  for (const auto& [name, value] : map)
    object->setProperty(juce::Identifier(name), static_cast<double>(value));
  return object;
}

var values_object(const Values& values) {
  auto* object = new juce::DynamicObject();
  for (int p = 0; p < kParamCount; ++p)
    object->setProperty(juce::Identifier(row(static_cast<Param>(p)).id),
                        static_cast<double>(values[static_cast<size_t>(p)]));
  return object;
}

var file_object(const File& file, std::vector<const juce::MemoryBlock*>& blobs) {
  auto* object = new juce::DynamicObject();
  object->setProperty("name", juce::String::fromUTF8(file.name.c_str()));
  object->setProperty("path", file.path);
  object->setProperty("from_home", from_home(file.path));
  object->setProperty("sha256", juce::String(file.sha256));
  object->setProperty("size", juce::int64{file.content != nullptr ? file.content->size : 0});
  const auto packed =
      static_cast<juce::int64>(file.content != nullptr ? file.content->packed.getSize() : 0);
  object->setProperty("packed", packed);
  if (packed > 0) blobs.push_back(&file.content->packed);
  return object;
}

var part_object(const Part& part, std::vector<const juce::MemoryBlock*>& blobs) {
  auto* object = new juce::DynamicObject();
  object->setProperty("kind", juce::String(part.spec.kind));
  object->setProperty("name", juce::String(part.spec.name));
  object->setProperty("beside", juce::String(part.spec.beside));
  object->setProperty("own", part.own);
  object->setProperty("values", to_object(part.spec.values));
  juce::Array<var> family;
  for (const FamilyMember& member : part.spec.family) family.add(static_cast<double>(member.at));
  object->setProperty("family", family);
  juce::Array<var> files;
  for (const FilePtr& file : part.files) files.add(file_object(*file, blobs));
  object->setProperty("files", files);
  return object;
}

/// Reads what write_state wrote; everything in it is looked at before it is believed.
class Reader {
 public:
  Reader(const char* blobs, size_t size) : blobs_(blobs), left_(size) {}

  State read(const var& root) {
    State state;
    state.values = values(root["values"]);
    state.setting.name = root["name"].toString().toStdString();
    state.setting.notes = root["notes"].toString().toStdString();
    state.setting.reference = values(root["reference"]);
    const juce::Array<var>& parts = list(root["parts"], kMostParts);
    for (const var& each : parts) state.setting.parts.push_back(part(each));
    complete(state.setting);
    if (root.hasProperty("lufs")) {
      state.loudness.lufs = static_cast<double>(root["lufs"]);
      state.loudness.sample_rate_hz = root["lufs_rate_hz"];
    }
    return state;
  }

 private:
  static const juce::Array<var>& list(const var& value, int most) {
    const juce::Array<var>* const array = value.getArray();
    if (array == nullptr || array->size() > most) throw Refused("The project's sound is damaged.");
    return *array;
  }

  static Values values(const var& object) {
    Values values = default_values();
    for (int p = 0; p < kParamCount; ++p) {
      const ParamRow& is = row(static_cast<Param>(p));
      const double value = object.getProperty(is.id, static_cast<double>(is.default_value));
      if (std::isfinite(value))
        values[static_cast<size_t>(p)] =
            std::clamp(static_cast<float>(value), is.minimum, is.maximum);
    }
    return values;
  }

  Part part(const var& object) {
    Part part;
    part.spec.kind = object["kind"].toString().toStdString();
    part.spec.name = object["name"].toString().toStdString();
    part.spec.beside = object["beside"].toString().toStdString();
    part.own = object["own"];
    if (juce::DynamicObject* const spec_values = object["values"].getDynamicObject())
      for (const auto& each : spec_values->getProperties())
        part.spec.values[each.name.toString().toStdString()] =
            static_cast<float>(static_cast<double>(each.value));
    for (const var& at : list(object["family"], kMostParts))
      part.spec.family.push_back({.at = static_cast<float>(static_cast<double>(at)), .model = ""});
    const FileKind kind = part.spec.kind == "cab" ? FileKind::kImpulse : FileKind::kModel;
    const juce::Array<var>& files = list(object["files"], kMostParts);
    for (const var& each : files) part.files.push_back(file(each, kind));
    if (!part.spec.family.empty() && part.spec.family.size() != part.files.size())
      throw Refused("The project's sound is damaged.");
    return part;
  }

  FilePtr file(const var& object, FileKind kind) {
    auto file = std::make_shared<File>();
    file->name = object["name"].toString().toStdString();
    file->path = object["path"].toString();
    file->sha256 = object["sha256"].toString().toStdString();
    const juce::MemoryBlock packed = take(static_cast<juce::int64>(object["packed"]));
    if (!packed.isEmpty())
      file->content =
          unpack(packed, static_cast<juce::int64>(object["size"]), file->sha256, file->name, kind);
    find(*file, object["from_home"].toString(), kind);
    return file;
  }

  juce::MemoryBlock take(int64_t size) {
    if (size < 0 || static_cast<size_t>(size) > left_)
      throw Refused("The project's sound is damaged.");
    const juce::MemoryBlock block(blobs_, static_cast<size_t>(size));
    blobs_ += size;
    left_ -= static_cast<size_t>(size);
    return block;
  }

  /// Where the file is now: as it was, or under this user's home, or nowhere.
  static void find(File& file, const juce::String& below_home, FileKind kind) {
    juce::Array<juce::File> places;
    if (juce::File::isAbsolutePath(file.path)) places.add(juce::File(file.path));
    if (below_home.isNotEmpty())
      places.add(
          juce::File::getSpecialLocation(juce::File::userHomeDirectory).getChildFile(below_home));
    for (const juce::File& place : places) {
      if (hash_of(place) != file.sha256) continue;
      file.path = place.getFullPathName();
      file.origin = File::Origin::kDisk;
      if (file.content == nullptr) file.content = read_file(place, kind)->content;
      return;
    }
    file.origin = file.content != nullptr ? File::Origin::kEmbedded : File::Origin::kMissing;
  }

  const char* blobs_;
  size_t left_;
};

}  // namespace

juce::MemoryBlock write_state(const State& state) {
  std::vector<const juce::MemoryBlock*> blobs;
  auto* object = new juce::DynamicObject();
  const var root(object);
  object->setProperty("values", values_object(state.values));
  object->setProperty("name", juce::String(state.setting.name));
  object->setProperty("notes", juce::String::fromUTF8(state.setting.notes.c_str()));
  object->setProperty("reference", values_object(state.setting.reference));
  juce::Array<var> parts;
  for (const Part& part : state.setting.parts) parts.add(part_object(part, blobs));
  object->setProperty("parts", parts);
  if (state.loudness.lufs) {
    object->setProperty("lufs", *state.loudness.lufs);
    object->setProperty("lufs_rate_hz", state.loudness.sample_rate_hz);
  }
  const std::string text = juce::JSON::toString(root, true).toStdString();
  size_t size = kHeadBytes + text.size() + kDigestBytes;
  for (const juce::MemoryBlock* blob : blobs) size += blob->getSize();
  juce::MemoryBlock bytes;
  juce::MemoryOutputStream out(bytes, false);
  out.writeInt(static_cast<int>(kStateVersion));
  out.write(kMagic.data(), kMagic.size());
  out.writeInt64(static_cast<juce::int64>(size));
  out.writeInt(static_cast<int>(text.size()));
  out.write(text.data(), text.size());
  for (const juce::MemoryBlock* blob : blobs) out.write(blob->getData(), blob->getSize());
  const juce::MemoryBlock sum = digest(out.getData(), out.getDataSize());
  out.write(sum.getData(), sum.getSize());
  out.flush();
  return bytes;
}

State read_state(const void* data, size_t size) {
  juce::MemoryInputStream in(data, size, false);
  if (size < kHeadBytes + kDigestBytes)
    throw Refused("The project's sound is cut short: the guitar plays as it is.");
  const auto version = static_cast<uint32_t>(in.readInt());
  std::array<char, kMagic.size()> magic{};
  in.read(magic.data(), static_cast<int>(magic.size()));
  if (magic != kMagic)
    throw Refused("What the project keeps is no sound of ampd: the guitar plays as it is.");
  if (version != kStateVersion)
    throw Refused("The project's sound has version " + std::to_string(version) +
                  ", this plugin reads " + std::to_string(kStateVersion) +
                  ": the guitar plays as it is.");
  const auto total = static_cast<uint64_t>(in.readInt64());
  const auto text_size = static_cast<size_t>(static_cast<uint32_t>(in.readInt()));
  if (total > size) throw Refused("The project's sound is cut short: the guitar plays as it is.");
  const Refused damaged("The project's sound is damaged: the guitar plays as it is.");
  if (total < kHeadBytes + kDigestBytes || text_size > total - kHeadBytes - kDigestBytes)
    throw damaged;
  const auto* const bytes = static_cast<const char*>(data);
  const size_t body = static_cast<size_t>(total) - kDigestBytes;
  if (!digest(bytes, body).matches(bytes + body, kDigestBytes)) throw damaged;
  const var root =
      juce::JSON::parse(juce::String::fromUTF8(bytes + kHeadBytes, static_cast<int>(text_size)));
  if (!root.isObject()) throw damaged;
  return Reader(bytes + kHeadBytes + text_size, body - kHeadBytes - text_size).read(root);
}

}  // namespace amp::plugin
