#include "files.hpp"

#include <juce_audio_formats/juce_audio_formats.h>
#include <juce_cryptography/juce_cryptography.h>

#include <cmath>
#include <map>
#include <mutex>

namespace amp::plugin {
namespace {

constexpr int64_t kMostModelBytes = int64_t{64} << 20;    // the loader's own bound
constexpr int64_t kMostImpulseBytes = int64_t{32} << 20;  // these six as in ampd/cabinet.py
constexpr double kMostSeconds = 10;
constexpr double kReadSeconds = 1;
constexpr double kLowestRateHz = 8000;
constexpr double kHighestRateHz = 192000;
constexpr unsigned kMostChannels = 2;

/// Fast: a model of numbers in text gains little from more.
constexpr int kZlibLevel = 3;

/// What lives in this process, by hash and kind.
class Shelf {
 public:
  std::shared_ptr<const Content> find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = contents_.find(key);
    return found == contents_.end() ? nullptr : found->second.lock();
  }
  void put(const std::string& key, const std::shared_ptr<const Content>& content) {
    const std::lock_guard lock(mutex_);
    std::erase_if(contents_, [](const auto& each) { return each.second.expired(); });
    contents_[key] = content;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const Content>> contents_;
};

Shelf& shelf() {
  static Shelf the_shelf;
  return the_shelf;
}

std::string to_hex(const void* data, size_t size) {
  return juce::SHA256(data, size).toHexString().toStdString();
}

std::shared_ptr<const Impulse> decode(const juce::MemoryBlock& bytes, const std::string& name) {
  juce::AudioFormatManager formats;
  formats.registerBasicFormats();
  const std::unique_ptr<juce::AudioFormatReader> reader(
      formats.createReaderFor(std::make_unique<juce::MemoryInputStream>(bytes, false)));
  if (reader == nullptr) throw Refused(name + " is no sound file; expected WAV, FLAC or AIFF.");
  if (reader->numChannels < 1 || reader->numChannels > kMostChannels)
    throw Refused(name + " has " + std::to_string(reader->numChannels) +
                  " channels; a cabinet has one, or left and right.");
  if (reader->sampleRate < kLowestRateHz || reader->sampleRate > kHighestRateHz)
    throw Refused(name + " has a rate of " + std::to_string(std::lround(reader->sampleRate)) +
                  " Hz; expected 8000 to 192000 Hz.");
  const double seconds = static_cast<double>(reader->lengthInSamples) / reader->sampleRate;
  if (!(seconds > 0 && seconds <= kMostSeconds))
    throw Refused(name + " lasts " + juce::String(seconds, 1).toStdString() +
                  " s; an impulse response is a click and its answer, 10 s at most.");
  const int frames = static_cast<int>(std::min<int64_t>(
      reader->lengthInSamples, static_cast<int64_t>(kReadSeconds * reader->sampleRate)));
  juce::AudioBuffer<float> sound(static_cast<int>(reader->numChannels), frames);
  reader->read(&sound, 0, frames, 0, true, true);
  auto impulse = std::make_shared<Impulse>();
  impulse->name = name;
  impulse->sample_rate_hz = static_cast<int>(std::lround(reader->sampleRate));
  for (int c = 0; c < sound.getNumChannels(); ++c)
    impulse->channels.emplace_back(sound.getReadPointer(c), sound.getReadPointer(c) + frames);
  return impulse;
}

juce::MemoryBlock pack(const juce::MemoryBlock& bytes) {
  juce::MemoryBlock packed;
  juce::MemoryOutputStream out(packed, false);
  juce::GZIPCompressorOutputStream zlib(out, kZlibLevel);
  zlib.write(bytes.getData(), bytes.getSize());
  zlib.flush();
  out.flush();
  return packed;
}

/// packed: the same bytes, where that is known; else they are packed here.
std::shared_ptr<const Content> make(const juce::MemoryBlock& bytes, const std::string& sha256,
                                    const std::string& place, FileKind kind,
                                    const juce::MemoryBlock* packed = nullptr) {
  const std::string key = (kind == FileKind::kModel ? "model " : "impulse ") + sha256;
  if (auto known = shelf().find(key)) return known;
  auto content = std::make_shared<Content>();
  content->sha256 = sha256;
  content->size = static_cast<int64_t>(bytes.getSize());
  if (kind == FileKind::kModel)
    content->model = nn::load_model({bytes.begin(), bytes.getSize()}, place);
  else
    content->impulse = decode(bytes, place);
  content->packed = packed != nullptr ? *packed : pack(bytes);
  shelf().put(key, content);
  return content;
}

}  // namespace

std::string File::stem() const {
  return juce::String(name).upToLastOccurrenceOf(".", false, false).toStdString();
}

FileKind kind_of(const juce::File& file) {
  if (file.hasFileExtension("wav;flac;aif;aiff")) return FileKind::kImpulse;
  if (file.hasFileExtension("yaml;yml")) return FileKind::kRig;
  if (file.hasFileExtension("nam;json;aidax")) return FileKind::kModel;
  return FileKind::kUnknown;
}

FilePtr read_file(const juce::File& file, FileKind kind) {
  const std::string place = file.getFullPathName().toStdString();
  if (!file.existsAsFile()) throw Refused(place + " is not there.");
  const int64_t most = kind == FileKind::kModel ? kMostModelBytes : kMostImpulseBytes;
  if (file.getSize() > most)
    throw Refused(place + " has " + std::to_string(file.getSize() >> 20) +
                  " MB; expected at most " + std::to_string(most >> 20) + " MB.");
  juce::MemoryBlock bytes;
  if (!file.loadFileAsData(bytes)) throw Refused(place + " cannot be read.");
  auto read = std::make_shared<File>();
  read->name = file.getFileName().toStdString();
  read->path = file.getFullPathName();
  read->sha256 = to_hex(bytes.getData(), bytes.getSize());
  read->content = make(bytes, read->sha256, place, kind);
  return read;
}

std::shared_ptr<const Content> unpack(const juce::MemoryBlock& packed, int64_t size,
                                      const std::string& sha256, const std::string& name,
                                      FileKind kind) {
  const std::string key = (kind == FileKind::kModel ? "model " : "impulse ") + sha256;
  if (auto known = shelf().find(key)) return known;
  if (size < 0 || size > kMostModelBytes) throw Refused("The copy of " + name + " is damaged.");
  juce::MemoryInputStream in(packed, false);
  juce::GZIPDecompressorInputStream zlib(in);
  juce::MemoryBlock bytes;
  const auto got = zlib.readIntoMemoryBlock(bytes, static_cast<ssize_t>(size) + 1);
  if (static_cast<int64_t>(got) != size || to_hex(bytes.getData(), bytes.getSize()) != sha256)
    throw Refused("The copy of " + name + " is damaged.");
  return make(bytes, sha256, name, kind, &packed);
}

std::string hash_of(const juce::File& file) {
  juce::MemoryBlock bytes;
  if (!file.existsAsFile() || file.getSize() > kMostModelBytes || !file.loadFileAsData(bytes))
    return {};
  return to_hex(bytes.getData(), bytes.getSize());
}

}  // namespace amp::plugin
