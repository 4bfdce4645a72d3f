// Command paint renders the pictures of the photos demo.
//
// Every picture is a function from a point to a colour, so the album needs no
// downloads, no licences and no binary sources: run `go generate` in
// hack/demo/photos and the same JPEG files come out again.
//
//	go run ./paint -out images [-only dunes] [-samples 3]
package main

import (
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"log"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

const (
	width  = 1200
	height = 800
)

// picture gives the colour at u (0 left to 1.5 right) and v (0 top to 1
// bottom) in gamma-encoded RGB.
type picture func(u, v float64) vec3

func main() {
	out := flag.String("out", "images", "directory the JPEG files are written to")
	only := flag.String("only", "", "render this picture alone")
	samples := flag.Int("samples", 3, "samples per pixel along each axis")
	quality := flag.Int("quality", 68, "JPEG quality")
	flag.Parse()
	for name, paint := range pictures() {
		if *only != "" && *only != name {
			continue
		}
		if err := save(filepath.Join(*out, name+".jpg"), render(paint, *samples), *quality); err != nil {
			log.Fatal(err)
		}
	}
}

func pictures() map[string]picture {
	return map[string]picture{
		"fog":    mountainsInFog,
		"dunes":  dunes,
		"aurora": aurora,
		"sea":    seaAtDusk,
		"stars":  starryNight,
		"forest": forest,
	}
}

// render evaluates the picture row by row on every processor.
func render(paint picture, samples int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	rows := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for y := range rows {
				renderRow(img, paint, y, samples)
			}
		})
	}
	for y := range height {
		rows <- y
	}
	close(rows)
	workers.Wait()
	return img
}

func renderRow(img *image.RGBA, paint picture, y, samples int) {
	for x := range width {
		var sum vec3
		for i := range samples * samples {
			dx := (float64(i%samples) + 0.5) / float64(samples)
			dy := (float64(i/samples) + 0.5) / float64(samples)
			sum = sum.add(paint((float64(x)+dx)/height, (float64(y)+dy)/height).clamp())
		}
		img.SetRGBA(x, y, develop(sum.mul(1/float64(samples*samples)), x, y))
	}
}

// develop adds what a lens and film add: darker corners and a little grain,
// which also hides the banding of 8-bit gradients.
func develop(c vec3, x, y int) color.RGBA {
	u, v := float64(x)/width-0.5, float64(y)/height-0.5
	c = c.mul(1 - 0.38*math.Pow(u*u+v*v, 1.3))
	grain := (hash(float64(x), float64(y)) + hash(float64(y)+71, float64(x)) - 1) * 0.012
	c = c.add(vec3{grain, grain, grain}).clamp()
	return color.RGBA{R: byte(c.x*255 + 0.5), G: byte(c.y*255 + 0.5), B: byte(c.z*255 + 0.5), A: 255}
}

func save(path string, img image.Image, quality int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := jpeg.Encode(f, img, &jpeg.Options{Quality: quality}); err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	return f.Close()
}
