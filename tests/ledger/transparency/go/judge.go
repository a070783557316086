// The judge: Go's own sumdb/note and sumdb/tlog say what they think of our notes, proofs, tiles and entry bundles.
//
// It reads one JSON request a line and answers each with one JSON line: {"error": "..."} if Go refuses, else what was
// asked for. The hashing and the proofs are Go's; what is done here is to read files and to compare.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
)

type request struct {
	Do        string
	Note      string
	Vkey      string
	Skey      string
	Text      string
	Origin    string
	Directory string
	Proof     []tlog.Hash
	Size      int64
	Root      tlog.Hash
	Old       int64
	OldRoot   tlog.Hash
	Index     int64
	Leaf      tlog.Hash
	Samples   int64
}

type answer struct {
	Error   string     `json:"error,omitempty"`
	Text    string     `json:"text,omitempty"`
	Size    int64      `json:"size"`
	Root    *tlog.Hash `json:"root,omitempty"`
	Tiles   int        `json:"tiles"`
	Entries int64      `json:"entries"`
}

func main() {
	requests := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := requests.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked request
		var told answer
		if err = json.Unmarshal(line, &asked); err == nil {
			told, err = judge(asked)
		}
		if err != nil {
			told = answer{Error: err.Error()}
		}
		if answers.Encode(told) != nil {
			return
		}
	}
}

func judge(asked request) (answer, error) {
	switch asked.Do {
	case "open":
		text, err := open(asked.Note, asked.Vkey)
		return answer{Text: text}, err
	case "sign":
		signer, err := note.NewSigner(asked.Skey)
		if err != nil {
			return answer{}, err
		}
		signed, err := note.Sign(&note.Note{Text: asked.Text}, signer)
		return answer{Text: string(signed)}, err
	case "inclusion":
		return answer{}, tlog.CheckRecord(asked.Proof, asked.Size, asked.Root, asked.Index, asked.Leaf)
	case "consistency":
		return answer{}, tlog.CheckTree(asked.Proof, asked.Size, asked.Root, asked.Old, asked.OldRoot)
	case "directory":
		return checkDirectory(asked)
	}
	return answer{}, fmt.Errorf("unknown request %q", asked.Do)
}

func open(signed, vkey string) (string, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return "", err
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return "", err
	}
	return opened.Text, nil
}

// checkDirectory opens a published log's checkpoint, and reads every tile and every entry bundle of its size.
func checkDirectory(asked request) (answer, error) {
	signed, err := os.ReadFile(filepath.Join(asked.Directory, "checkpoint"))
	if err != nil {
		return answer{}, err
	}
	text, err := open(string(signed), asked.Vkey)
	if err != nil {
		return answer{}, err
	}
	tree, err := treeOf(text, asked.Origin)
	if err != nil || tree.N == 0 {
		return answer{Root: &tree.Hash}, err
	}
	files := &directory{asked.Directory}
	stored, err := storedHashes(tree, files)
	if err != nil {
		return answer{}, err
	}
	tiles, err := checkTiles(tree, files, stored)
	if err != nil {
		return answer{}, err
	}
	root, err := tlog.TreeHash(tree.N, stored)
	if err != nil {
		return answer{}, err
	}
	if root != tree.Hash {
		return answer{}, fmt.Errorf("the entries lead to the root %v, the checkpoint says %v", root, tree.Hash)
	}
	if err := checkSamples(tree, files, asked.Samples); err != nil {
		return answer{}, err
	}
	return answer{Size: tree.N, Root: &tree.Hash, Tiles: tiles, Entries: tree.N}, nil
}

func treeOf(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != origin {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %q: %q", origin, text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] || size < 0 {
		return tlog.Tree{}, fmt.Errorf("malformed size %q", lines[1])
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: hash}, err
}

// hashes are a tree's hashes in memory, in the order of tlog.StoredHashIndex.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(h)) {
			return nil, fmt.Errorf("the tree has no hash %d", index)
		}
		found[i] = h[index]
	}
	return found, nil
}

// storedHashes makes the tree anew from the entries alone. Not by tlog.TileHashReader: the one of x/mod 0.7 leaves some
// full tiles unchecked where several subtrees of the right edge lie in one tile.
func storedHashes(tree tlog.Tree, files *directory) (hashes, error) {
	var stored hashes
	for n := int64(0); n*width < tree.N; n++ {
		entries, err := files.entries(tlog.Tile{H: height, L: 0, N: n, W: widthAt(tree.N, n)})
		if err != nil {
			return nil, err
		}
		for i, entry := range entries {
			more, err := tlog.StoredHashes(n*width+int64(i), entry, stored)
			if err != nil {
				return nil, err
			}
			stored = append(stored, more...)
		}
	}
	return stored, nil
}

// checkTiles compares each file with the tree that the entries make.
func checkTiles(tree tlog.Tree, files *directory, stored hashes) (int, error) {
	seen := 0
	for level := 0; tree.N>>uint(level*height) > 0; level++ {
		count := tree.N >> uint(level*height)
		for n := int64(0); n*width < count; n++ {
			tile := tlog.Tile{H: height, L: level, N: n, W: widthAt(count, n)}
			said, err := files.read(tile)
			if err != nil {
				return 0, err
			}
			made, err := tlog.ReadTileData(tile, stored)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", pathOf(tile), err)
			}
			if !bytes.Equal(said, made) {
				return 0, fmt.Errorf("%s holds other hashes than the entries make", pathOf(tile))
			}
			seen++
		}
	}
	return seen, nil
}

// checkSamples proves some entries from the tiles, first and last among them, and that the tree up to each is a prefix.
func checkSamples(tree tlog.Tree, files *directory, samples int64) error {
	hashes := tlog.TileHashReader(tree, files)
	for i := int64(0); i < samples; i++ {
		index := (tree.N - 1) * i / max(samples-1, 1)
		tile := tlog.Tile{H: height, L: 0, N: index / width, W: widthAt(tree.N, index/width)}
		entries, err := files.entries(tile)
		if err != nil {
			return err
		}
		record, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(record, tree.N, tree.Hash, index, tlog.RecordHash(entries[index%width])); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		old, err := tlog.TreeHash(index+1, hashes)
		if err != nil {
			return err
		}
		prefix, err := tlog.ProveTree(tree.N, index+1, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(prefix, tree.N, tree.Hash, index+1, old); err != nil {
			return fmt.Errorf("size %d: %w", index+1, err)
		}
	}
	return nil
}

func widthAt(count, n int64) int {
	return int(min(width, count-n*width))
}

// directory reads tiles at the paths of C2SP tlog-tiles, which leave out the height that Go's paths have, and falls back
// to the full tile where a partial one was deleted.
type directory struct {
	root string
}

func (d *directory) Height() int { return height }

func (d *directory) SaveTiles([]tlog.Tile, [][]byte) {}

func (d *directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		var err error
		if data[i], err = d.read(tile); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func (d *directory) read(tile tlog.Tile) ([]byte, error) {
	data, wide, err := d.file(pathOf(tile), pathOf(full(tile)))
	if err != nil {
		return nil, err
	}
	if wide && len(data) == width*tlog.HashSize {
		data = data[:tile.W*tlog.HashSize]
	}
	if len(data) != tile.W*tlog.HashSize {
		return nil, fmt.Errorf("%s has %d bytes", pathOf(tile), len(data))
	}
	return data, nil
}

func (d *directory) entries(tile tlog.Tile) ([][]byte, error) {
	data, wide, err := d.file(bundlePathOf(tile), bundlePathOf(full(tile)))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s is cut short", bundlePathOf(tile))
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if wide && len(entries) == width {
		entries = entries[:tile.W]
	}
	if len(entries) != tile.W {
		return nil, fmt.Errorf("%s has %d entries", bundlePathOf(tile), len(entries))
	}
	return entries, nil
}

// file returns a file's bytes, or those of the full one in its place and true.
func (d *directory) file(path, wider string) ([]byte, bool, error) {
	data, err := os.ReadFile(filepath.Join(d.root, filepath.FromSlash(path)))
	if errors.Is(err, fs.ErrNotExist) && path != wider {
		data, err = os.ReadFile(filepath.Join(d.root, filepath.FromSlash(wider)))
		return data, true, err
	}
	return data, false, err
}

func full(tile tlog.Tile) tlog.Tile {
	tile.W = width
	return tile
}

func pathOf(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
}

func bundlePathOf(tile tlog.Tile) string {
	tile.L = -1
	return "tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/data/")
}
