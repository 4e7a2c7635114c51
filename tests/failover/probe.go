// Writes without a pause: probe URI SECONDS. Prints a line of JSON, as probe.py does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

func main() {
	seconds, _ := strconv.ParseFloat(os.Args[2], 64)
	settings := options.Client().ApplyURI(os.Args[1]).SetServerSelectionTimeout(30 * time.Second)
	client, err := mongo.Connect(settings)
	if err != nil {
		panic(err)
	}
	collection := client.Database("d").Collection("c")
	errors := map[string]int{}
	count, longest, last := 0, time.Duration(0), time.Now()
	for end := last.Add(time.Duration(seconds * 1e9)); time.Now().Before(end); {
		if _, err := collection.InsertOne(context.Background(), bson.D{}); err != nil {
			errors[fmt.Sprintf("%T", err)]++
		} else {
			if count > 0 {
				longest = max(longest, time.Since(last))
			}
			last = time.Now()
			count++
		}
		time.Sleep(5 * time.Millisecond)
	}
	longest = max(longest, time.Since(last))
	line, _ := json.Marshal(map[string]any{"writes": count, "errors": errors, "longest_ms": longest.Milliseconds()})
	fmt.Println(string(line))
}
